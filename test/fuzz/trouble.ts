import { json, thrown, value } from './hostile';
import { random } from './random';

interface FunctionNode {
  error(what: unknown, msg?: object): void;
  warn(what: unknown): void;
  send(msg: unknown): void;
  status(status: unknown): void;
}

/**
 * What a function node does with a message that has come to it. It throws nothing odd itself: for `throw null` the
 * runtime's own function node ends the process, whoever is behind it.
 */
export function trouble(node: FunctionNode, msg: { payload: unknown; _msgid: string }): unknown {
  const { payload } = msg;
  const seed =
    typeof payload === 'object' && payload !== null && 'seed' in payload ? payload.seed : msg._msgid;
  const r = random(String(seed));
  switch (r.below(8)) {
    case 0:
    case 1:
    case 2:
      node.error(thrown(r), msg);
      return undefined;
    case 3:
      node.warn(thrown(r));
      node.status({ fill: 'red', text: json(r) });
      return { ...msg, payload: json(r) };
    case 4:
      throw new Error(`trouble ${String(seed)}`);
    case 5:
      return { ...msg, payload: value(r) };
    case 6:
      node.send([
        [
          { ...msg, payload: json(r) },
          { ...msg, payload: json(r) },
        ],
      ]);
      return undefined;
    default:
      return msg;
  }
}
