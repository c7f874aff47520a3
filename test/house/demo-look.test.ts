import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startChild, waitForLine } from '../support/child';
import { adminApi, pressInject } from '../support/admin-api';
import type { FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { root } from '../support/user-dir';

const skip = typeof WebSocket === 'undefined' && 'Node has a WebSocket of its own from 22 on';

test(
  'npm run demo -- --port 0 prints where it is; its buttons are there, and the debug sidebar stays readable',
  { skip },
  async (t) => {
    const demo = startChild(
      process.execPath,
      ['--import', 'tsx', join('scripts', 'demo.ts'), '--port', '0'],
      {
        cwd: root,
      },
    );
    t.after(() => demo.end('SIGTERM'));
    const addressed = async (name: string) => {
      const line = await waitForLine(demo, new RegExp(`${name}\\s+\\S+://`), { timeout: 60_000, what: name });
      return new URL(line.trim().split(/\s+/)[1] ?? '');
    };
    const [red, org] = [await addressed('Node-RED'), await addressed('Salesforce')];
    assert.match(red.port, /^[1-9]/);
    const url = red.origin;
    const flow = (await adminApi(url, 'GET', '/flows')) as FlowNode[];
    const button = (name: string) =>
      flow.find((node) => node.type === 'inject' && node['name'] === name)?.id ??
      assert.fail(`no button ${name}`);
    for (const name of ['the org goes down', 'the org comes back', 'a rule is made', 'the rule is lifted'])
      button(name);

    const [shown, statuses]: [string[], string[]] = [[], []];
    const sidebar = new WebSocket(`${url.replace('http', 'ws')}/comms`);
    t.after(() => sidebar.close());
    sidebar.addEventListener('message', ({ data }) => {
      for (const { topic } of JSON.parse(String(data)) as { topic: string }[])
        if (topic === 'debug') shown.push(String(data));
        else if (topic.startsWith('status/')) statuses.push(topic);
    });
    await until(() => sidebar.readyState === WebSocket.OPEN, { what: 'the debug sidebar to listen' });
    const contacts = async () => ((await (await fetch(org)).json()) as unknown[]).length;
    const before = await contacts();
    await pressInject(url, button('publish 200 contacts'));
    await until(async () => (await contacts()) >= before + 200, {
      timeout: 60_000,
      what: '200 contacts in the org',
    });
    // What comes back of them is shown below its node, if nowhere else.
    const record = flow.find(({ type, name }) => type === 'debug' && name === 'record')?.id;
    await until(() => shown.length >= 10 || statuses.includes(`status/${record}`), {
      timeout: 30_000,
      what: 'the records to come back',
    });
    assert.ok(shown.length < 10, `${shown.length} messages in the debug sidebar, such as ${shown[0]}`);
  },
);
