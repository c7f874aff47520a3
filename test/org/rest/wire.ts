/** What becomes of an answer on its way: packed by gzip, or spoilt by a fault. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { bodyOf, type Reply, type Request } from '../../support/simulated/exchange';
import { type FaultAction } from '../control/faults';

/** Smaller answers aren't worth it. */
const WORTH_BYTES = 2048;
const pack = promisify(gzip);

export async function packed(request: Request, reply: Reply): Promise<Reply> {
  if (reply.body === undefined || !/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply;
  const { type, bytes } = bodyOf(reply);
  if (bytes.length < WORTH_BYTES) return reply;
  const body = await pack(bytes, { level: 1 });
  return { ...reply, body, headers: { 'Content-Type': type, ...reply.headers, 'Content-Encoding': 'gzip' } };
}

/** Headers that a fault leaves out, and the last rows of a CSV that it loses. */
export function spoilt({ omit = [], loseRows = 0 }: FaultAction, reply: Reply): Reply {
  const headers = Object.fromEntries(
    Object.entries(reply.headers ?? {}).filter(
      ([name]) => !omit.some((each) => each.toLowerCase() === name.toLowerCase()),
    ),
  );
  if (loseRows === 0 || typeof reply.body !== 'string') return { ...reply, headers };
  const lines = reply.body.split('\n');
  return { ...reply, headers, body: `${lines.slice(0, -1 - loseRows).join('\n')}\n` };
}
