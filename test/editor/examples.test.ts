import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { startOrg } from '../org/org';
import { temporaryFolder } from '../support/cleanup';
import { startNats } from '../support/nats';
import type { FlowNode } from '../support/node-red';
import { root } from '../support/user-dir';
import { until } from '../support/until';
import { skip, startBench } from './editor';
import { types } from './contract';

const examples = new Map(
  globSync(['examples/*.json', 'docs/cookbook/*.json'], { cwd: root }).map((path) => [
    basename(path, '.json'),
    readFileSync(join(root, path), 'utf8'),
  ]),
);

/** What an example can't bring along: the secret of an API. */
const LACKING =
  /^api-source .*: (?!Server|Org)[\w -]+: fill this in$|^api-sync-out .*: Source: invalid configuration node$/;

/** What is left of the canvas, in px, between palette and sidebar of Node-RED 5 on a screen of 1280. */
const CANVAS = 759;
/** Below each of ours stands its status. */
const STATUS = 12;

/** Nodes of the open tab that stick out of the canvas, and pairs of which one covers the other or its status. */
const badlyPlaced = (width: number) => `(() => {
  const boxes = RED.nodes.filterNodes({ z: RED.workspaces.active() }).map(({ type, name, x, y, w, h }) =>
    ({ what: type + ' ' + name, left: x - w / 2, right: x + w / 2, top: y - h / 2, bottom: y + h / 2 + (${JSON.stringify(types)}.includes(type) ? ${STATUS} : 0) }));
  const over = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  return {
    outside: boxes.filter(({ left, right }) => left < 0 || right > ${width}).map(({ what }) => what),
    crowded: boxes.flatMap((a, i) => boxes.slice(i + 1).filter((b) => over(a, b)).map((b) => a.what + ' and ' + b.what)),
  };
})()`;

for (const version of [5, 4] as const)
  test(
    `examples are imported into Node-RED ${version} one after the other, ask nothing, and run where the environment says`,
    { skip },
    async (t) => {
      const folder = temporaryFolder('examples');
      t.after(() => folder.remove());
      const [nats, org] = await Promise.all([
        startNats({ config: 'authorization { user: ada, password: secret }' }),
        startOrg({ pubsub: true }),
      ]);
      t.after(() => Promise.all([nats.stop(), org.close()]));
      const file = (name: string, content: object) => {
        writeFileSync(join(folder.path, name), JSON.stringify(content));
        return join(folder.path, name);
      };
      const { clientId: client_id, clientSecret: client_secret, url: login_url } = org;
      const bench = await startBench({
        version,
        flows: [{ id: 'first', type: 'tab', label: 'First' }],
        env: {
          NATS_URL: nats.url,
          NATS_CREDENTIALS: file('nats.json', { user: 'ada', password: 'secret' }),
          SFDC_CREDENTIALS: file('sfdc.json', { client_id, client_secret, login_url }),
          SFDC_PUBSUB: org.pubsub ?? '',
        },
      });
      t.after(() => bench.stop());
      const editor = await bench.editor();
      const add = async (name: string) => {
        const flow = examples.get(name) ?? assert.fail(name);
        await editor.importText(flow);
        const [tab] = JSON.parse(flow) as FlowNode[];
        await editor.run(`RED.workspaces.show('${tab?.id}')`);
        const shown = "document.querySelectorAll('.red-ui-flow-node-group').length";
        await editor.page.waitForFunction(
          `${shown} > 1 && ${shown} === RED.nodes.filterNodes({ z: '${tab?.id}' }).length`,
        );
        const { outside, crowded } = await editor.run<Record<string, string[]>>(badlyPlaced(CANVAS));
        assert.deepEqual(outside, [], `${name}: behind the sidebar on a screen of 1280 px`);
        assert.deepEqual(crowded, [], `${name}: over one another`);
      };

      await add('Upsert contacts from JetStream');
      await add('Publish contacts to JetStream');
      const wrong = () =>
        editor.run<string[]>(`(() => {
          const found = [];
          const look = (node) => {
            if (!${JSON.stringify(types)}.includes(node.type)) return;
            RED.editor.validateNode(node);
            for (const sentence of node.validationErrors ?? []) found.push(node.type + ' ' + node.name + ': ' + sentence);
          };
          RED.nodes.eachConfig(look);
          RED.nodes.eachNode(look);
          return found;
        })()`);
      assert.deepEqual(await wrong(), []);
      await editor.deploy();
      await bench.nodeRed.waitForLog(/stream "crm" was created/);
      const nodes = JSON.parse(examples.get('Publish contacts to JetStream') ?? '') as FlowNode[];
      await bench.nodeRed.inject(nodes.find(({ type }) => type === 'inject')?.id ?? '');
      await until(() => org.records('Contact').length === 200, { what: 'the contacts', timeout: 20_000 });

      for (const name of examples.keys()) if (!/ contacts (from|to) JetStream/.test(name)) await add(name);
      assert.deepEqual(
        (await wrong()).filter((sentence) => !LACKING.test(sentence)),
        [],
      );
    },
  );
