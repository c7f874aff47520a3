import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { embedNodeRed, type EmbeddedNodeRed, type FlowNode } from '../support/node-red';
import { until } from '../support/until';
import { functionNode, inNode, openRoom, placed, serverNode, TAB, type Room } from './room';

/**
 * What happens to a message whose way leads through each of the core nodes. `nodes` stand between jetstream-in
 * (wired to "first") and "late", a delay of 150 ms before "end": an acknowledgement that doesn't wait for the
 * whole way would be seen before the end is.
 */
interface Case {
  name: string;
  nodes: FlowNode[];
  /** +ACK unless said otherwise. */
  outcome?: '+ACK' | '-NAK';
  /** Messages that reach "end"; 1 unless said otherwise. */
  reach?: number;
  payload?: unknown;
  /** Several messages are sent, and every one must be settled. */
  messages?: number;
}

const z = 'tab';
const fn = (func: string, more: object = {}): FlowNode =>
  functionNode('first', func, { wires: [['late']], ...more });
const switchNode = (rules: object[], more: object = {}): FlowNode => ({
  id: 'first',
  type: 'switch',
  z,
  property: 'payload.n',
  propertyType: 'msg',
  rules,
  checkall: 'true',
  repair: false,
  outputs: rules.length,
  wires: rules.map(() => ['late']),
  ...more,
});
const delayNode = (more: object): FlowNode => ({
  id: 'first',
  type: 'delay',
  z,
  pauseType: 'delay',
  timeout: '50',
  timeoutUnits: 'milliseconds',
  rate: '20',
  nbRateUnits: '1',
  rateUnits: 'second',
  randomFirst: '10',
  randomLast: '60',
  randomUnits: 'milliseconds',
  drop: false,
  allowrate: false,
  outputs: 1,
  wires: [['late']],
  ...more,
});
const split: FlowNode = {
  id: 'first',
  type: 'split',
  z,
  splt: '\\n',
  spltType: 'str',
  arraySplt: 1,
  arraySpltType: 'len',
  stream: false,
  addname: '',
  property: 'payload',
  wires: [['join']],
};
const join_: FlowNode = {
  id: 'join',
  type: 'join',
  z,
  mode: 'auto',
  build: 'array',
  property: 'payload',
  propertyType: 'msg',
  key: 'topic',
  joiner: '\\n',
  joinerType: 'str',
  accumulate: false,
  timeout: '',
  count: '',
  wires: [['late']],
};

const triggerNode = (more: object): FlowNode => ({
  id: 'first',
  type: 'trigger',
  z,
  op1: '1',
  op2: '0',
  op1type: 'str',
  op2type: 'str',
  duration: '400',
  extend: false,
  overrideDelay: false,
  units: 'ms',
  reset: '',
  bytopic: 'all',
  topic: 'topic',
  outputs: 1,
  wires: [['late']],
  ...more,
});
const requestNode = (more: object): FlowNode => ({
  id: 'first',
  type: 'http request',
  z,
  method: 'GET',
  ret: 'txt',
  paytoqs: 'ignore',
  url: httpUrl,
  tls: '',
  persist: false,
  proxy: '',
  authType: '',
  senderr: false,
  headers: [],
  wires: [['late']],
  ...more,
});
const execNode = (more: object): FlowNode => ({
  id: 'first',
  type: 'exec',
  z,
  command: 'echo',
  addpay: '',
  append: 'hi',
  useSpawn: 'false',
  timer: '',
  winHide: false,
  oldrc: false,
  wires: [['late'], [], []],
  ...more,
});
const batchNode = (more: object): FlowNode => ({
  id: 'first',
  type: 'batch',
  z,
  mode: 'count',
  count: 2,
  overlap: 0,
  interval: 10,
  allowEmptySequence: false,
  topics: [],
  wires: [['late']],
  ...more,
});
const fileInNode = (more: object): FlowNode => ({
  id: 'first',
  type: 'file in',
  z,
  filename: __filename,
  filenameType: 'str',
  format: 'lines',
  chunk: false,
  sendError: false,
  encoding: 'none',
  allProps: false,
  wires: [['last']],
  ...more,
});
const tcpNode = (more: object): FlowNode => ({
  id: 'first',
  type: 'tcp request',
  z,
  server: '127.0.0.1',
  port: String(tcpPort),
  out: 'count',
  ret: 'string',
  splitc: '4',
  newline: '',
  trim: false,
  tls: '',
  wires: [['late']],
  ...more,
});

let httpUrl = '';
let tcpPort = 0;
const file = join(tmpdir(), `jetforce-core-nodes-${process.pid}.txt`);

const lastLine: FlowNode = { ...fn('return msg.parts.count === undefined ? null : msg;'), id: 'last' };
const parser = (type: string, more: object): FlowNode => ({
  id: 'first',
  type,
  z,
  property: 'payload',
  wires: [['late']],
  ...more,
});

const cases = (): Case[] => [
  { name: 'function that returns its message', nodes: [fn('return msg;')] },
  { name: 'function that returns a new object', nodes: [fn('return { payload: 1 };')] },
  { name: 'function that sends a new object by node.send', nodes: [fn('node.send({ payload: 1 });')] },
  { name: 'function that awaits', nodes: [fn('await new Promise((r) => setTimeout(r, 50)); return msg;')] },
  {
    name: 'function that calls node.done later',
    nodes: [fn('setTimeout(() => { node.send(msg); node.done(); }, 50);')],
  },
  {
    name: 'function that later sends a new object, then node.done',
    nodes: [fn('setTimeout(() => { node.send({ payload: 2 }); node.done(); }, 50);')],
  },
  { name: 'function that returns null', nodes: [fn('return null;')], reach: 0 },
  {
    name: 'function that sends many',
    nodes: [fn('return [[{ payload: 1 }, { payload: 2 }, msg]];')],
    reach: 3,
  },
  { name: 'function that throws', nodes: [fn('throw new Error("no");')], outcome: '-NAK', reach: 0 },
  {
    name: 'function that calls node.error',
    nodes: [fn('node.error("no", msg);')],
    outcome: '-NAK',
    reach: 0,
  },
  { name: 'function that returns a text', nodes: [fn('return "text";')], outcome: '-NAK', reach: 0 },
  {
    name: 'function that returns its message and a number',
    nodes: [fn('return [[msg, 5]];')],
    outcome: '-NAK',
  },
  {
    name: 'function that sends a buffer by node.send',
    nodes: [fn('node.send(Buffer.from("x"));')],
    outcome: '-NAK',
    reach: 0,
  },
  {
    name: 'function that sends a number later',
    nodes: [fn('setTimeout(() => { node.send(5); node.done(); }, 50);')],
    outcome: '-NAK',
    reach: 0,
  },
  {
    name: 'function that says an error of nothing, and goes on',
    nodes: [fn('node.error("by the way"); return msg;')],
  },
  {
    name: 'function that throws, and a catch behind it',
    nodes: [
      fn('throw new Error("no");'),
      { id: 'catch', type: 'catch', z, scope: null, uncaught: false, wires: [['late']] },
    ],
    outcome: '-NAK',
  },
  {
    name: 'complete node',
    nodes: [
      fn('return null;'),
      { id: 'complete', type: 'complete', z, scope: ['first'], uncaught: false, wires: [['late']] },
    ],
  },
  {
    name: 'change that removes the identity of the message',
    nodes: [
      {
        id: 'first',
        type: 'change',
        z,
        rules: [
          { t: 'delete', p: 'jetstream', pt: 'msg' },
          { t: 'set', p: '_msgid', pt: 'msg', to: 'other', tot: 'str' },
        ],
        wires: [['late']],
      },
    ],
  },
  { name: 'switch with a match', nodes: [switchNode([{ t: 'eq', v: '1', vt: 'num' }])] },
  { name: 'switch with no match', nodes: [switchNode([{ t: 'eq', v: '2', vt: 'num' }])], reach: 0 },
  { name: 'switch without rules', nodes: [switchNode([], { wires: [] })], reach: 0 },
  {
    name: 'switch with a match on two outputs',
    nodes: [switchNode([{ t: 'eq', v: '1', vt: 'num' }, { t: 'nnull' }])],
    reach: 2,
  },
  {
    name: 'switch by JSONata, some messages matching',
    nodes: [
      switchNode([{ t: 'jsonata_exp', v: 'payload.n % 2 = 0', vt: 'jsonata' }], {
        property: 'payload.n',
        propertyType: 'jsonata',
      }),
    ],
    messages: 6,
    reach: 3,
  },
  {
    name: 'switch whose expression fails',
    nodes: [
      switchNode([{ t: 'eq', v: '1', vt: 'num' }], { property: '$error("no")', propertyType: 'jsonata' }),
    ],
    outcome: '-NAK',
    reach: 0,
  },
  {
    name: 'split, switch that recreates sequences, join',
    payload: [1, 2, 3, 4],
    nodes: [
      { ...split, wires: [['switch']] },
      {
        ...switchNode([{ t: 'gt', v: '2', vt: 'num' }], { property: 'payload', repair: true }),
        id: 'switch',
        wires: [['join']],
      },
      join_,
    ],
  },
  { name: 'split and join', payload: [1, 2, 3], nodes: [split, join_] },
  { name: 'split of an empty array', payload: [], nodes: [split, join_], reach: 0 },
  {
    name: 'join of several messages by count',
    messages: 3,
    nodes: [{ ...join_, id: 'first', mode: 'custom', count: '3' }],
  },
  {
    name: 'join of several messages by time',
    messages: 3,
    nodes: [{ ...join_, id: 'first', mode: 'custom', count: '', timeout: '0.1' }],
  },
  {
    name: 'batch by count',
    messages: 4,
    reach: 4,
    nodes: [batchNode({})],
  },
  { name: 'delay, fixed', nodes: [delayNode({})] },
  { name: 'delay, by msg.delay', nodes: [delayNode({ pauseType: 'delayv' })] },
  { name: 'delay, random', nodes: [delayNode({ pauseType: 'random' })] },
  { name: 'rate limit that queues', nodes: [delayNode({ pauseType: 'rate' })], messages: 3, reach: 3 },
  {
    name: 'rate limit that drops what is in between',
    nodes: [delayNode({ pauseType: 'rate', rate: '1', drop: true })],
    messages: 3,
    reach: 1,
  },
  { name: 'rate limit by topic', nodes: [delayNode({ pauseType: 'queue' })] },
  { name: 'rate limit, timed', nodes: [delayNode({ pauseType: 'timed' })] },
  {
    name: 'trigger, whose second message is one of its own',
    nodes: [triggerNode({})],
  },
  {
    name: 'filter that lets through',
    nodes: [
      {
        id: 'first',
        type: 'rbe',
        z,
        func: 'rbe',
        property: 'payload',
        topi: 'topic',
        septopics: true,
        wires: [['late']],
      },
    ],
  },
  {
    name: 'filter that blocks',
    nodes: [
      {
        id: 'first',
        type: 'rbe',
        z,
        func: 'rbei',
        property: 'payload',
        topi: 'topic',
        septopics: true,
        wires: [['late']],
      },
    ],
    reach: 0,
  },
  {
    name: 'link out and link in',
    nodes: [
      { id: 'first', type: 'link out', z, name: '', mode: 'link', links: ['linkin'], wires: [] },
      { id: 'linkin', type: 'link in', z, name: '', links: ['first'], wires: [['late']] },
    ],
  },
  {
    name: 'link call that returns',
    nodes: [
      {
        id: 'first',
        type: 'link call',
        z,
        name: '',
        links: ['linkin'],
        linkType: 'static',
        timeout: '5',
        wires: [['late']],
      },
      { id: 'linkin', type: 'link in', z, name: '', links: [], wires: [['back']] },
      { id: 'back', type: 'link out', z, name: '', mode: 'return', links: [], wires: [] },
    ],
  },
  {
    name: 'link call that times out',
    nodes: [
      {
        id: 'first',
        type: 'link call',
        z,
        name: '',
        links: ['linkin'],
        linkType: 'static',
        timeout: '0.2',
        wires: [['late']],
      },
      { id: 'linkin', type: 'link in', z, name: '', links: [], wires: [[]] },
    ],
    outcome: '-NAK',
    reach: 0,
  },
  {
    name: 'subflow',
    nodes: [
      {
        id: 'sub',
        type: 'subflow',
        name: 'sub',
        in: [{ x: 0, y: 0, wires: [{ id: 'inner' }] }],
        out: [{ x: 0, y: 0, wires: [{ id: 'inner', port: 0 }] }],
      },
      { ...fn('return msg;'), id: 'inner', z: 'sub', wires: [[]] },
      { id: 'first', type: 'subflow:sub', z, name: '', wires: [['late']] },
    ],
  },
  {
    name: 'http request',
    nodes: [requestNode({})],
  },
  {
    name: 'exec',
    nodes: [execNode({})],
  },
  {
    name: 'file',
    nodes: [
      {
        id: 'first',
        type: 'file',
        z,
        filename: file,
        filenameType: 'str',
        appendNewline: true,
        createDir: false,
        overwriteFile: 'true',
        encoding: 'none',
        wires: [['late']],
      },
    ],
  },
  {
    name: 'file in, line by line',
    nodes: [fileInNode({}), lastLine],
    reach: 1,
  },
  {
    name: 'file in, line by line, several at once',
    nodes: [fileInNode({}), lastLine],
    messages: 3,
    reach: 3,
  },
  {
    name: 'file in, as a stream of buffers',
    nodes: [fileInNode({ format: 'stream' }), lastLine],
    messages: 2,
    reach: 2,
  },
  { name: 'file in, whole', nodes: [fileInNode({ format: 'utf8', wires: [['late']] })] },
  {
    name: 'file in, of a file that is not there',
    nodes: [fileInNode({ filename: '/not/there', wires: [['late']] })],
    outcome: '-NAK',
    reach: 0,
  },
  {
    name: 'function that sends by a timer and never says done',
    nodes: [fn('setTimeout(() => node.send(msg), 100);')],
  },
  {
    name: 'function that sends twice by timers and never says done',
    nodes: [fn('setTimeout(() => node.send(msg), 50); setTimeout(() => node.send(msg), 100);')],
    reach: 2,
  },
  {
    name: 'function that sends at once and sets a long timer',
    nodes: [
      fn('clearTimeout(context.get("t")); context.set("t", setTimeout(() => {}, 3600000)); return msg;'),
    ],
  },
  {
    name: 'function that puts back an interval',
    nodes: [fn('clearInterval(context.get("t")); context.set("t", setInterval(() => {}, 3600000));')],
    reach: 0,
  },
  {
    name: 'trigger that sends the latest message in the end',
    nodes: [triggerNode({ op1type: 'nul', op2type: 'payl', duration: '200', extend: true })],
  },
  {
    name: 'trigger that sends the latest of several messages in the end',
    nodes: [triggerNode({ op1type: 'nul', op2type: 'payl', duration: '200', extend: true })],
    messages: 4,
    reach: 1,
  },
  {
    name: 'trigger that sends the original message in the end',
    nodes: [triggerNode({ op1type: 'nul', op2type: 'pay', duration: '200' })],
  },
  {
    name: 'trigger that sends now and in the end, by topic',
    nodes: [triggerNode({ op1type: 'pay', op2type: 'payl', duration: '100', bytopic: 'topic' })],
    reach: 2,
  },
  {
    name: 'trigger that blocks until it is reset',
    nodes: [triggerNode({ op1type: 'pay', op2type: 'nul', duration: '0' })],
  },
  {
    name: 'http request to nobody',
    nodes: [requestNode({ url: 'http://127.0.0.1:1/' })],
    outcome: '-NAK',
  },
  {
    name: 'http request to nobody, caught instead of sent on',
    nodes: [requestNode({ url: 'http://127.0.0.1:1/', senderr: true })],
    outcome: '-NAK',
    reach: 0,
  },
  { name: 'http response without a request', nodes: [parser('http response', { wires: [] })], reach: 0 },
  { name: 'exec that spawns', nodes: [execNode({ useSpawn: 'true' })] },
  { name: 'exec that fails', nodes: [execNode({ command: 'false', append: '', wires: [[], [], ['late']] })] },
  { name: 'tcp request that waits for so many characters', nodes: [tcpNode({})] },
  { name: 'tcp request that waits for a while', nodes: [tcpNode({ out: 'time', splitc: '100' })] },
  { name: 'tcp request that stays connected', nodes: [tcpNode({ out: 'sit', wires: [[]] })], reach: 0 },
  { name: 'tcp request to nobody', nodes: [tcpNode({ port: '1' })], outcome: '-NAK', reach: 0 },
  {
    name: 'udp out',
    nodes: [
      // It takes messages only some time after its start.
      delayNode({ timeout: '300', wires: [['udp']] }),
      {
        ...parser('udp out', {
          addr: '127.0.0.1',
          port: '9',
          iface: '',
          ipv: 'udp4',
          outport: '',
          base64: false,
          multicast: 'false',
          wires: [],
        }),
        id: 'udp',
      },
    ],
    reach: 0,
  },
  { name: 'junction', nodes: [parser('junction', {})] },
  {
    name: 'inject in the way',
    nodes: [parser('inject', { props: [], repeat: '', crontab: '', once: false })],
  },
  {
    name: 'change that sets and moves',
    nodes: [parser('change', { rules: [{ t: 'set', p: 'a', pt: 'msg', to: '1', tot: 'num' }] })],
  },
  {
    name: 'range',
    payload: 5,
    nodes: [
      parser('range', { minin: '0', maxin: '10', minout: '0', maxout: '1', action: 'scale', round: false }),
    ],
  },
  {
    name: 'range that drops what is outside',
    payload: 50,
    reach: 0,
    nodes: [
      parser('range', { minin: '0', maxin: '10', minout: '0', maxout: '1', action: 'drop', round: false }),
    ],
  },
  {
    name: 'split, sort, join',
    payload: [3, 1, 2],
    nodes: [
      { ...split, wires: [['sort']] },
      {
        ...parser('sort', {
          order: 'ascending',
          as_num: true,
          target: 'payload',
          targetType: 'seq',
          msgKey: 'payload',
          msgKeyType: 'elem',
          seqKey: 'payload',
          seqKeyType: 'msg',
        }),
        id: 'sort',
        wires: [['join']],
      },
      join_,
    ],
  },
  {
    name: 'batch by time',
    messages: 3,
    reach: 3,
    nodes: [batchNode({ mode: 'interval', interval: '0.2' })],
  },
  {
    name: 'csv, a message a row',
    payload: 'a,b\n1,2\n3,4\n',
    reach: 2,
    nodes: [
      parser('csv', {
        spec: 'rfc',
        sep: ',',
        hdrin: true,
        hdrout: 'none',
        multi: 'one',
        ret: '\n',
        temp: '',
        skip: '0',
        strings: true,
        include_empty_strings: '',
        include_null_values: '',
      }),
    ],
  },
  {
    name: 'html, a message an element',
    payload: '<p>a</p><p>b</p>',
    reach: 2,
    nodes: [parser('html', { outproperty: 'payload', tag: 'p', ret: 'html', as: 'multi' })],
  },
  { name: 'xml', payload: '<a>1</a>', nodes: [parser('xml', { attr: '', chr: '' })] },
  {
    name: 'xml that is none',
    payload: '<a',
    nodes: [parser('xml', { attr: '', chr: '' })],
    outcome: '-NAK',
    reach: 0,
  },
  { name: 'yaml', payload: 'a: 1', nodes: [parser('yaml', {})] },
  {
    name: 'a loop that goes round three times',
    nodes: [
      {
        ...fn('msg.n = (msg.n ?? 0) + 1; return msg.n < 4 ? [msg, null] : [null, msg];'),
        outputs: 2,
        wires: [['back'], ['late']],
      },
      { ...delayNode({ timeout: '20' }), id: 'back', wires: [['first']] },
    ],
  },
  {
    name: 'subflow with a setting of its own and a status',
    nodes: [
      {
        id: 'sub',
        type: 'subflow',
        name: 'sub',
        env: [{ name: 'WAIT', type: 'num', value: '50' }],
        in: [{ x: 0, y: 0, wires: [{ id: 'inner' }] }],
        out: [{ x: 0, y: 0, wires: [{ id: 'inner', port: 0 }] }],
        status: { x: 0, y: 0, wires: [{ id: 'inner', port: 0 }] },
      },
      {
        ...fn('await new Promise((r) => setTimeout(r, env.get("WAIT"))); node.status("s"); return msg;'),
        id: 'inner',
        z: 'sub',
        wires: [[]],
      },
      { id: 'first', type: 'subflow:sub', z, name: '', env: [], wires: [['late']] },
    ],
  },
  {
    name: 'template',
    nodes: [
      {
        id: 'first',
        type: 'template',
        z,
        field: 'payload',
        fieldType: 'msg',
        format: 'text',
        syntax: 'mustache',
        template: 'x',
        output: 'str',
        wires: [['late']],
      },
    ],
  },
  {
    name: 'json',
    payload: '{"a":1}',
    nodes: [
      { id: 'first', type: 'json', z, property: 'payload', action: '', pretty: false, wires: [['late']] },
    ],
  },
  {
    name: 'debug beside the way',
    nodes: [
      { ...fn('return msg;'), wires: [['late', 'debug']] },
      {
        id: 'debug',
        type: 'debug',
        z,
        active: true,
        tosidebar: true,
        console: false,
        tostatus: false,
        complete: 'payload',
        targetType: 'msg',
        statusVal: '',
        statusType: 'auto',
        wires: [],
      },
    ],
  },
];

for (const version of [5, 4] as const) {
  describe(`ack: flow on Node-RED ${version}`, () => {
    let room: Room;
    let red: EmbeddedNodeRed;
    const tcp = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () => setTimeout(() => socket.write('done'), 100));
    });
    const http = createServer((_req, res) => setTimeout(() => res.end('ok'), 50));

    before(async () => {
      room = await openRoom();
      await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
      await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
      tcpPort = (tcp.address() as AddressInfo).port;
      httpUrl = `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;
      red = await embedNodeRed({ version, flows: [] });
    });
    after(async () => {
      await red.stop();
      http.close();
      tcp.close();
      await room.stop();
    });

    for (const [index, { name }] of cases().entries()) {
      test(name, async () => {
        const { nodes, outcome = '+ACK', reach = 1, payload, messages = 1 } = cases()[index] as Case;
        const durable = `case-${index}`;
        const subject = `crm.contacts.v${version}-${index}`;
        const late = { ...delayNode({ timeout: '150' }), id: `late`, wires: [['end']] };
        await red.deploy(
          [
            TAB,
            serverNode(room.nats.url),
            inNode({ durable, subject, wires: [['first']], maxDeliver: 2, backoff: '60s', prefetch: 10 }),
            ...nodes,
            late,
            { ...fn('return null;'), id: 'end', wires: [[]] },
          ].map(placed),
        );
        const reachedBefore = red.received('end').length;
        const ended: number[] = [];
        const hook = ({ destination }: { destination: { id: string } }): void => {
          if (destination.id === 'end') ended.push(Date.now());
        };
        red.RED.hooks.add('preDeliver.coreNodesTest', hook as never);
        try {
          const sequences: number[] = [];
          for (let n = 1; n <= messages; n++) sequences.push(await room.publish(subject, payload ?? { n }));
          for (const sequence of sequences) {
            const settled = await room.waitSettled(sequence, outcome, 8_000);
            assert.equal(room.settled(sequence).length, 1, 'settled once');
            assert.equal(settled.verb, outcome);
          }
          await until(() => red.received('end').length - reachedBefore >= reach, {
            what: `${reach} messages at the end`,
          });
          const settledAt = room.settlements
            .filter((entry) => sequences.includes(entry.sequence) && entry.verb === outcome)
            .map(({ at }) => at);
          const own = name.startsWith('trigger') ? ended.slice(0, 1) : ended;
          if (messages === 1)
            assert.ok(
              own.every((at) => at <= (settledAt[0] ?? 0)),
              'not settled before the last path ended',
            );
          else if (reach === 1 && !name.includes('drops'))
            assert.ok(
              own.every((at) => settledAt.every((settled) => at <= settled)),
              'none settled before the joined message ended',
            );
          assert.equal(red.received('end').length - reachedBefore, reach);
        } catch (error) {
          console.log(
            red.log
              .slice(-12)
              .map(({ text }) => text)
              .join('\n'),
            red.statuses.slice(-3),
          );
          throw error;
        } finally {
          red.RED.hooks.remove('*.coreNodesTest');
        }
      });
    }
  });
}
