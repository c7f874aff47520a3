import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Milliseconds of one request of the editor after the other, sorted. */
export type Answers = number[];

const ASK = `
  const http = require('node:http');
  const agent = new http.Agent({ keepAlive: true });
  const took = [];
  const ask = () => {
    const begun = performance.now();
    http.get(process.argv[1] + '/settings', { agent }, (answer) => {
      answer.resume().on('end', () => {
        took.push(performance.now() - begun);
        setTimeout(ask, 5);
      });
    });
  };
  process.once('SIGTERM', () => {
    console.log(JSON.stringify(took.sort((a, b) => a - b)));
    process.exit();
  });
  ask();
`;

/** Asks a Node-RED from a process of its own, which nothing here keeps from asking, until it is told to stop. */
export function asking(url: string): () => Promise<Answers> {
  const child = spawn(process.execPath, ['-e', ASK, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (part: Buffer) => (text += part.toString()));
  return async () => {
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    await closed;
    return JSON.parse(text) as Answers;
  };
}
