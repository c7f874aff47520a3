import type { NodeAPI } from 'node-red';
import { codeOf, FlowError, messageOf } from './errors';
import { Hidden, readRequest, type LookupRequest } from './lookup-request';
import type { NodeSettings } from './settings/settings';

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
      const ask = (signal: AbortSignal) =>
        lookup({ ...readRequest(RED, declared, references, json, hidden), signal });
      inTime(ask, timeout)
        .then((data) => answer({ ok: true, data }))
        .catch((error: unknown) =>
          answer({ ok: false, error: { code: codeOf(error), message: messageOf(error) } }),
        );
    },
  );
}

async function inTime<T>(ask: (signal: AbortSignal) => Promise<T>, limit: number): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const why = `No answer within ${limit / 1_000} s: check the address, the firewall and the proxy`;
    timer = setTimeout(() => reject(new FlowError('TIMEOUT', why)), limit);
  });
  const asked = Promise.resolve().then(() => ask(controller.signal));
  return Promise.race([asked, late]).finally(() => {
    clearTimeout(timer);
    controller.abort();
  });
}
