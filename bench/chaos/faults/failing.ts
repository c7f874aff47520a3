import { until } from '../../../test/support/until';
import { activation } from '../activation';

const FAILING = 10_000;

export const faults = [
  activation({
    name: 'failing-in-front',
    what: `${FAILING.toLocaleString('en-US')} messages fail and wait a minute for their retry; others come behind them, some for the same records`,
    stage: {
      changes: 'at once',
      gap: 0,
      check: `if (event > 100 && event <= ${100 + FAILING} && msg.jetstream.deliveries === 1) throw new Error('not now');`,
      consumer: { prefetch: 1_000, maxAckPending: 1_000, ackWait: '30s', backoff: '1m' },
    },
    async strike({ consumer, flowing, load }) {
      await load.more(FAILING);
      const away = async (): Promise<boolean> => (await consumer()).num_ack_pending >= FAILING;
      await until(away, { timeout: 50_000, what: 'all of them to wait' });
      load.gap = 5;
      await flowing(200);
      if (!(await away())) throw new Error('those behind had to wait for the retries');
    },
  }),
];
