import { codeOf } from '../../shared/errors';
import type { GivenUp } from '../../shared/operations/given-up';
import { deadLetterState, type Letters } from '../../shared/operations/letter-actions';
import type { TopicState } from '../../shared/operations/states';
import { heldByOrg } from '../org/state';
import type { PubSub } from '../pubsub/client';
import type { EventReader } from './reader';

/** A sfdc-event-in as it runs. */
export interface TopicNode {
  id: string;
  name: string;
  org: string;
  topic: string;
  reader: EventReader;
  /** When it last began to fail. */
  failingSince: () => number | null;
  pubsub: PubSub;
  givenUp: GivenUp;
  kept: Letters | undefined;
}

/** Tells the state each time it is called. */
export function topicStates({ id, name, org, topic, ...node }: TopicNode): () => Promise<TopicState> {
  return async () => {
    const { reader, pubsub, givenUp, kept } = node;
    await givenUp.refreshed();
    const { state, inFlow } = reader;
    const error = state.phase === 'failing' ? state.error : undefined;
    const failing = error && {
      by: 'failing' as const,
      since: node.failingSince(),
      code: codeOf(error),
      message: error.message,
    };
    return pubsub.session.secrets.inValue({
      ...{ id, name, org, topic, phase: state.phase, inFlow, givenUp: givenUp.count },
      held: heldByOrg(pubsub.availability.current) ?? failing ?? null,
      deadLetter: kept ? await deadLetterState(kept) : null,
    });
  };
}
