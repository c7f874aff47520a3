import type { Node, NodeMessage } from 'node-red';
import { errorOf, FlowError, messageOf } from '../errors';
import type { RuntimeNode } from './hooks';
import { flowTracker } from './completion';
import { isTurnLost } from './delivery';
import { say } from '../say';

type Done = (error?: Error) => void;
type Teller = Pick<Node, 'error'>;
type Outputs = NodeMessage | (NodeMessage | null)[];

/** What a node does with one message: gives what it sends (nothing: undefined), or throws why it can't. */
export type Work<M extends NodeMessage> = (msg: M) => Outputs | undefined | Promise<Outputs | undefined>;

/**
 * Each message ends in exactly one `done`: behind what `work` gives, or with the error, also where it is the sending
 * that fails. What gives an answer at once sends at once. Nothing that work, the runtime or the flow behind throws
 * gets out of here.
 */
export function onInput<M extends NodeMessage>(node: Node, work: Work<M>): void {
  node.on('input', (msg, send, done) => {
    const end = (outputs: Outputs | undefined): void =>
      outputs === undefined ? finish(node, done) : sendOn(node, send, done, outputs);
    const fail = (error: unknown): void => failed(node, msg, done, error);
    try {
      const outputs = work(msg as M);
      if (outputs instanceof Promise) outputs.then(end, fail);
      else end(outputs);
    } catch (error) {
      fail(error);
    }
  });
}

/** Each message fails with the error, which the log says once: the node can't work by its settings. */
export function refuseInput(node: Node, error: unknown): void {
  node.on('input', (_msg, _send, done) => finish(node, done, error));
  tell(node, messageOf(error));
}

/**
 * Sends what the work gave, and says `done`. What can't be sent (the runtime copies messages, and not each can be
 * copied) is a failure, and a permanent one: the work is done, and is not to be done again.
 */
export function sendOn(node: Teller, send: (outputs: Outputs) => void, done: Done, outputs: Outputs): void {
  try {
    send(outputs);
  } catch (error) {
    const text = say`What was asked of the node is done, but the message could not be sent on: ${messageOf(error)}`;
    return finish(node, done, new FlowError('NOT_SENT_ON', text, false));
  }
  finish(node, done);
}

/**
 * Ends a message that failed. One that is another instance's by now is no error of this flow, and not done either: nobody
 * but its source hears of it.
 */
export function failed(node: Node, msg: NodeMessage, done: Done, error: unknown): void {
  if (isTurnLost(error)) flowTracker.leave(msg, error as FlowError, node as unknown as RuntimeNode);
  else finish(node, done, error);
}

/** Says `done` for a message, once: what the runtime throws then (a message that can't be copied) is no second end. */
export function finish(node: Teller, done: Done, ...failure: [error?: unknown]): void {
  const failed = failure.length > 0;
  try {
    if (failed) done(errorOf(failure[0]));
    else done();
  } catch (thrown) {
    const end = failed ? say`failed (${messageOf(failure[0])})` : say`was finished`;
    tell(node, say`A message ${end}, and the runtime could not tell the flow: ${messageOf(thrown)}`);
  }
}

function tell(node: Teller, text: string): void {
  try {
    node.error(text);
  } catch {
    // Nobody is left who could be told.
  }
}
