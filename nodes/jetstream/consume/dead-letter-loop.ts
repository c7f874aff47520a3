import { FlowError } from '../../shared/errors';
import { jsApi } from '../server/api';
import type { NatsConnection } from '../server/nats';
import { streamInfo, type StreamInfo, type SubjectTransform } from '../streams/stream';
import { overlap } from '../streams/subjects';
import { say } from '../../shared/say';

interface Reading {
  stream: string;
  /** None: all of the stream. */
  filters: readonly string[];
  deadLetter: string | undefined;
  /** It will take them. */
  deadLetterStream?: string | undefined;
}

/**
 * Throws DEAD_LETTER_LOOP for a dead letter that the node would read itself: it would come round for ever. That is one
 * which lands in the stream, directly or from another stream that is a source of it, under a subject that the node
 * reads. Without the right to look at the stream the filters alone count; hops are counted besides.
 */
export async function checkDeadLetter(
  nc: NatsConnection,
  domain: string | undefined,
  { stream, filters, deadLetter, deadLetterStream }: Reading,
): Promise<void> {
  if (!deadLetter) return;
  const config = await lookAt(nc, domain, stream);
  const names =
    deadLetterStream === stream
      ? [deadLetter]
      : config
        ? await landing(nc, domain, config, deadLetter)
        : filters.length > 0
          ? [deadLetter]
          : [];
  if (!names.some((name) => filters.length === 0 || filters.some((filter) => overlap(filter, name)))) return;
  const read = filters.length === 0 ? say`everything in "${stream}"` : filters.join(', ');
  throw new FlowError(
    'DEAD_LETTER_LOOP',
    say`The dead letter subject "${deadLetter}" would be read by this node again (it reads ${read}): choose one outside`,
    false,
  );
}

async function lookAt(
  nc: NatsConnection,
  domain: string | undefined,
  stream: string,
): Promise<StreamInfo['config'] | undefined> {
  try {
    return (await streamInfo(nc, domain, stream))?.config;
  } catch {
    return undefined;
  }
}

/** The subjects, wildcards where it is open, under which the stream would hold what is published to `subject`. */
async function landing(
  nc: NatsConnection,
  domain: string | undefined,
  config: StreamInfo['config'],
  subject: string,
): Promise<string[]> {
  const { subjects = [], subject_transform: transform, mirror, sources = [] } = config;
  if (subjects.some((own) => overlap(own, subject)))
    return [transformed(subject, transform ? [transform] : [])];
  const from = [mirror, ...sources].filter((source) => source !== undefined);
  if (from.length === 0) return [];
  const holding = await streamsOf(nc, domain, subject);
  return from
    .filter(({ name, filter_subject: filter }) => holding.has(name) && (!filter || overlap(filter, subject)))
    .map(({ subject_transforms: transforms }) => transformed(subject, transforms ?? []));
}

function transformed(subject: string, transforms: SubjectTransform[]): string {
  const dest = transforms.find(({ src }) => overlap(src || '>', subject))?.dest;
  return dest ? dest.replace(/\{\{[^{}]*\}\}|\$\d+/g, '*') : subject;
}

/** Names of the streams that take a subject; none where it can't be told. */
async function streamsOf(
  nc: NatsConnection,
  domain: string | undefined,
  subject: string,
): Promise<Set<string>> {
  try {
    const { streams } = await jsApi<{ streams: string[] | null }>(nc, domain, 'STREAM.NAMES', { subject });
    return new Set(streams ?? []);
  } catch {
    return new Set();
  }
}
