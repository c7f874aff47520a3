import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fifo } from '../../../nodes/shared/async/fifo';

test('what comes out is what an array would give, whatever is pushed and taken in between', () => {
  const step = fc.oneof(fc.nat(), fc.constantFrom('shift' as const, 'shift' as const, 'clear' as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const fifo = new Fifo<number>();
      const array: number[] = [];
      for (const what of steps) {
        if (what === 'shift') assert.equal(fifo.shift(), array.shift());
        else if (what === 'clear') assert.deepEqual(fifo.clear(), array.splice(0));
        else {
          fifo.push(what);
          array.push(what);
        }
        assert.equal(fifo.length, array.length);
        assert.equal(fifo.front, array[0]);
        assert.deepEqual([...fifo], array);
      }
    }),
  );
});
