import type { ConsumerSettings } from '../../../nodes/jetstream/consume/consumer-settings';
import { readerOf } from '../../../nodes/jetstream/consume/reader-of';
import { jetStreamProperties } from '../../../nodes/jetstream/consume/message';
import { Connection } from '../../../nodes/jetstream/server/connection';
import { Writer, type WriterOptions } from '../../../nodes/salesforce/composite/writer';
import { OrgSession } from '../../../nodes/salesforce/org/session';
import { codeOf } from '../../../nodes/shared/errors';

/** How the process is started: its argument, as JSON. */
export interface OrgProcess {
  url: string;
  org: { url: string; clientId: string; clientSecret: string };
  settings: ConsumerSettings;
  writer: WriterOptions;
}

// A process with one consumer, each message of which is a contact for the org. Says how each ended.
function main({ url, org, settings, writer: options }: OrgProcess): void {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const { clientId, clientSecret } = org;
  const session = new OrgSession({
    config: { auth: 'client-credentials', loginUrl: org.url, apiBudget: 100 },
    secrets: { clientId, clientSecret },
  });
  const writer = new Writer(session, options);
  let phase = '';
  const reader = readerOf(new Connection({ servers: url, auth: 'none' }), settings, {
    deliver: (batch, [payload]) => {
      const [message] = batch.items;
      if (!message) return;
      const { stream, consumer, sequence, timestamp, deliveries } = jetStreamProperties(message, '');
      const request = {
        operation: 'upsert',
        sobject: 'Contact',
        externalIdField: 'ExternalId__c',
        allOrNone: false,
        payload,
        repeated: deliveries > 1,
        origin: { consumer: `${stream} ${consumer}`, sequence, timestamp },
        hold: batch.hold,
        inheritedUntil: batch.inheritedUntil,
      } as const;
      if (request.inheritedUntil !== undefined) say('inherited');
      writer
        .write(request, () => () => undefined)
        .then(
          () => {
            say(`wrote ${sequence}`);
            batch.finished(undefined);
          },
          (error: unknown) => {
            say(`left ${sequence} ${codeOf(error)}`);
            batch.finished({ error });
          },
        );
    },
    state: (state) => {
      if (state.phase !== phase) say(`is ${(phase = state.phase)}`);
    },
    log: (level, text) => say(`${level}: ${text}`),
  });
  reader.start();
  process.once('SIGTERM', () => {
    void reader
      .stop(3_000)
      .then(() => reader.finished)
      .then(() => process.exit(0));
  });
}

main(JSON.parse(process.argv[2] ?? '') as OrgProcess);
