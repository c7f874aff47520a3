import { mock } from 'node:test';

/** A clock that stands still: `mock.timers.tick` moves the timers, `Date` and `performance.now()` on together. */
export interface FakeClock {
  /** Sets the wall clock alone forward, or back, by so many ms. */
  setWallClock(by: number): void;
  /** In steps: to whoever is called in between, the clock shows the end of the step. */
  pass(ms: number, step?: number): void;
  reset(): void;
}

export function fakeClock(
  apis: ('setTimeout' | 'setInterval')[] = ['setTimeout', 'setInterval'],
  now = 1_000_000,
): FakeClock {
  mock.timers.enable({ apis: [...apis, 'Date'], now });
  const date = Date.now.bind(Date);
  let wall = 0;
  const mocks = [
    mock.method(performance, 'now', () => date()),
    mock.method(Date, 'now', () => date() + wall),
  ];
  return {
    setWallClock: (by) => void (wall += by),
    pass: (ms, step = Math.min(1_000, ms)) => {
      for (let passed = 0; passed < ms; passed += step) mock.timers.tick(step);
    },
    reset: () => {
      for (const { mock: one } of mocks) one.restore();
      mock.timers.reset();
    },
  };
}
