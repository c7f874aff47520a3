import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from '../../nodes/shared/errors';
import { watchHeartbeat } from '../support/heartbeat';
import { PARSERS } from './parsers';
import { random } from './random';

// One that never ends, or takes a square of what it gets.
watchHeartbeat();

/** Of each parser; `npm run fuzz` goes on from there. */
const CASES = Number(process.env.RUNS ?? 300);

for (const [parser, parse] of Object.entries(PARSERS)) {
  test(`${parser}: whatever it gets, it gives something or throws an Error`, async () => {
    for (let n = 0; n < CASES; n++) {
      const seed = `test ${parser} ${n}`;
      try {
        parse(random(seed));
      } catch (error) {
        assert.ok(error instanceof Error, `${seed}: it threw ${messageOf(error)}`);
      }
      if (n % 20 === 0) await new Promise(setImmediate);
    }
  });
}
