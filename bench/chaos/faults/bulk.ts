import { until } from '../../../test/support/until';
import type { FaultMatch } from '../../../test/org/control/faults';
import { activation } from '../activation';
import type { Stage } from '../stage';

const made = { method: 'POST', path: '/jobs/ingest' };
const uploaded = { method: 'PUT', path: '/batches' };
const closed = { method: 'PATCH', path: '/jobs/ingest/' };
const asked = { method: 'GET', path: '/jobs/ingest/750' };
const results = { method: 'GET', path: '/successfulResults' };

/** A call of a job, held before its work is done or after it. */
const PHASES: readonly (readonly [FaultMatch, after: boolean])[] = [
  [made, false],
  [made, true],
  [uploaded, false],
  // Not closed yet. (A close that arrives after the process that sent it has ended can't be told from one that doesn't.)
  [uploaded, true],
  [closed, true],
  [asked, false],
  [results, false],
  [results, true],
];

/** Resolves while such a call of a job is under way. */
async function inThe({ org }: Stage, match: FaultMatch, after: boolean): Promise<void> {
  org.faults.add({ match, action: { delayMs: 1_000, after }, times: 1 });
  await until(() => !org.faults.list().some((fault) => fault.match === match), {
    timeout: 60_000,
    what: `${match.method} ${match.path}`,
  });
}

export const faults = [
  activation({
    name: 'bulk-killed',
    what: 'Node-RED killed -9 in each phase of a Bulk job: records keep their order',
    stage: { changes: 'at once', gap: 25, write: { batch: { bulkFrom: 20, maxRequests: 1 } } },
    async strike(stage) {
      const { org, red, flowing, settled } = stage;
      org.switches.bulkJobMs = 700;
      // So that enough for a job gathers meanwhile.
      org.faults.add({ match: { path: '/composite' }, action: { delayMs: 600 } });
      for (const [match, after] of PHASES) {
        await inThe(stage, match, after);
        await red.kill();
        await red.restart();
        await settled();
        await flowing(20);
      }
      org.faults.clear();
    },
  }),
];
