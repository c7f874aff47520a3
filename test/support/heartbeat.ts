import { after } from 'node:test';
import { Worker } from 'node:worker_threads';

const BEAT_MS = 20;

/** Runs in a thread of its own: a loop of microtasks stops every timer of the thread that it is in. */
const WATCHDOG = `
const { workerData } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const beats = new Int32Array(workerData.beats);
let seen = 0;
for (;;) {
  if (Atomics.wait(beats, 0, seen, workerData.longest) === 'timed-out') {
    writeSync(2, 'The event loop stood still for ' + workerData.longest + ' ms\\n');
    process.kill(process.pid, 'SIGKILL');
  }
  seen = Atomics.load(beats, 0);
  if (seen < 0) break;
}`;

/**
 * Watches the event loop of this process until the tests of the file are over: where it makes no turn for `longest`
 * milliseconds the process is killed, and the file has failed. What never ends can't be told from inside.
 */
export function watchHeartbeat(longest = 10_000): void {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(WATCHDOG, {
    eval: true,
    execArgv: [],
    workerData: { beats: beats.buffer, longest },
  });
  worker.unref();
  const timer = setInterval(() => {
    Atomics.add(beats, 0, 1);
    Atomics.notify(beats, 0);
  }, BEAT_MS);
  timer.unref();
  after(async () => {
    clearInterval(timer);
    Atomics.store(beats, 0, -1);
    Atomics.notify(beats, 0);
    await worker.terminate();
  });
}
