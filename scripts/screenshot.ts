import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startBrowser } from '../test/editor/browser';
import { startStack } from './demo-stack';

/** tsx scripts/screenshot.ts: takes the README's picture anew: the demo after its button was pressed. */
const target = join(__dirname, '..', '.github', 'flow.png');

async function main(): Promise<void> {
  const stack = await startStack();
  const browser = await startBrowser();
  if (!browser) throw new Error('no browser to take the picture with');
  const context = await browser.newContext({
    viewport: { width: 1180, height: 600 },
    deviceScaleFactor: 2,
    locale: 'en-US',
  });
  const page = await context.newPage();
  await page.goto(stack.red.url);
  await page.locator('.red-ui-flow-node').first().waitFor();
  await page.evaluate("RED.actions.invoke('core:toggle-sidebar')");
  const button = await page.evaluate<string>("RED.nodes.filterNodes({type: 'inject'})[0].id");
  await stack.red.inject(button);
  await page.getByText('200 written').waitFor();
  await page.getByText('writing 200').waitFor({ state: 'hidden' });
  await page.getByText('1 in the flow').waitFor({ state: 'hidden' });
  await page.getByPlaceholder('filter nodes').pressSequentially('jetstream');
  await page.waitForTimeout(2_000); // the palette moves slowly
  await page.mouse.move(700, 520);
  await page.locator('.red-ui-notification').waitFor({ state: 'hidden' });
  mkdirSync(join(target, '..'), { recursive: true });
  await page.screenshot({ path: target });
  await browser.close();
  await stack.stop();
}

main().catch((error: Error) => {
  console.error(error.message);
  process.exit(1);
});
