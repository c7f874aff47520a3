import type { NodeAPI } from 'node-red';
import { inTime } from './async/timeout';
import { codeOf, FlowError, messageOf } from './errors';
import { Hidden, readRequest, type LookupRequest } from './lookup-request';
import type { NodeSettings } from './settings/settings';
import { say } from './say';
import { speaking } from './language';

export type { ConfigValues, LookupRequest } from './lookup-request';

export type LookupAnswer =
  { ok: true; data: unknown } | { ok: false; error: { code: string; message: string } };

/** The form itself waits for 30 s. */
const TIMEOUT = 25_000;

/**
 * POST jetforce/<type>/<action>: lets a form test a connection or look something up before it is deployed.
 * It may use stored secrets, so it asks for the right to change flows, and sends them nowhere but to the address that
 * is deployed. Always answers within 25 s, with 200 and a LookupAnswer: a connection that doesn't work is an answer,
 * not a failure of the editor. `references` declares the config nodes that a form may send along.
 */
export function lookupRoute(
  RED: NodeAPI,
  declared: NodeSettings,
  action: string,
  lookup: (request: LookupRequest) => Promise<unknown>,
  references: Record<string, NodeSettings> = {},
  timeout = TIMEOUT,
): void {
  RED.httpAdmin.post(
    `/jetforce/${declared.type}/${action}`,
    RED.auth.needsPermission('flows.write'),
    (req, res) => {
      const hidden = new Hidden();
      const answer = (body: LookupAnswer) => void res.json(hidden.strike(body));
      const json = req.is('application/json') ? (req.body as unknown) : undefined;
      const over = new AbortController();
      const ask = async () =>
        lookup({ ...readRequest(RED, declared, references, json, hidden), signal: over.signal });
      speaking(req.acceptsLanguages(), () => inTime(timeout, ask(), () => noAnswer(timeout)))
        .then((data) => answer({ ok: true, data }))
        .catch((error: unknown) =>
          answer({ ok: false, error: { code: codeOf(error), message: messageOf(error) } }),
        )
        .finally(() => over.abort());
    },
  );
}

function noAnswer(timeout: number): FlowError {
  const why = say`No answer within ${timeout / 1_000} s: check the address, the firewall and the proxy`;
  return new FlowError('TIMEOUT', why);
}
