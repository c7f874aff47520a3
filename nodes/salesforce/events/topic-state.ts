import { codeOf } from '../../shared/errors';
import type { GivenUp } from '../../shared/operations/given-up';
import { deadLetterState, type Letters } from '../../shared/operations/letter-actions';
import { Since } from '../../shared/operations/since';
import type { TopicState } from '../../shared/operations/states';
import type { PubSub } from '../pubsub/client';
import type { EventReader } from './reader';

/** A sfdc-event-in as it runs. */
export interface TopicNode {
  id: string;
  name: string;
  org: string;
  topic: string;
  reader: EventReader;
  pubsub: PubSub;
  givenUp: GivenUp;
  kept: Letters | undefined;
}

/** Tells the state each time it is called, with times since it was made. */
export function topicStates({ id, name, org, topic, ...node }: TopicNode): () => Promise<TopicState> {
  const since = new Since();
  return async () => {
    const { reader, pubsub, givenUp, kept } = node;
    await givenUp.refreshed();
    const { state, inFlow } = reader;
    const error = state.phase === 'failing' ? state.error : undefined;
    const outage = pubsub.availability.current;
    const at = since.seen(error?.message);
    const failing = error && {
      by: 'failing' as const,
      since: at,
      code: codeOf(error),
      message: error.message,
    };
    return pubsub.session.secrets.inValue({
      ...{ id, name, org, topic, phase: state.phase, inFlow, givenUp: givenUp.count },
      held: outage
        ? { by: 'disconnected', since: outage.since, code: outage.code, message: outage.message }
        : (failing ?? null),
      deadLetter: kept ? await deadLetterState(kept) : null,
    });
  };
}
