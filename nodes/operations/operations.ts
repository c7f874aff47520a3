import type { NodeAPI } from 'node-red';
import { inTime } from '../shared/async/timeout';
import { codeOf, FlowError, messageOf } from '../shared/errors';
import { metricsText } from '../shared/operations/metrics';
import { actionOf, currentStates, type Params } from '../shared/operations/registry';
import { speaking, spoken } from '../shared/language';
import { say } from '../shared/say';

/** Whoever waits in the editor gives up after 30 s. */
const TIMEOUT = 25_000;
/** Several who look at the same time see the same. */
const FRESH = 500;

/**
 * GET jetforce/state and jetforce/metrics, GET jetforce/nodes/<id>/<query> for `jetforce.read`; POST
 * jetforce/nodes/<id>/<action> with JSON for `jetforce.write`. Questions and actions are answered with 200 and {ok,
 * data} or {ok, error}: what can't be done is an answer.
 */
export default function (RED: NodeAPI): void {
  const { httpAdmin, auth } = RED;
  const mayRead = auth.needsPermission('jetforce.read');
  const mayWrite = auth.needsPermission('jetforce.write');
  let latest: { at: number; states: ReturnType<typeof currentStates> } | undefined;
  const states = (): ReturnType<typeof currentStates> => {
    const at = Date.now();
    if (!latest || at < latest.at || at - latest.at > FRESH) latest = { at, states: currentStates() };
    return latest.states;
  };

  httpAdmin.get('/jetforce/state', mayRead, (_req, res) => {
    void states().then((found) => res.json({ at: new Date().toISOString(), language: spoken(), ...found }));
  });
  httpAdmin.get('/jetforce/metrics', mayRead, (_req, res) => {
    void states().then((found) => res.type('text/plain; version=0.0.4').send(metricsText(found)));
  });

  const answer = async (
    languages: readonly string[],
    work: (signal: AbortSignal) => unknown,
  ): Promise<object> => {
    const over = new AbortController();
    try {
      const data = await speaking(languages, () =>
        inTime(
          TIMEOUT,
          Promise.resolve().then(() => work(over.signal)),
          noAnswer,
        ),
      );
      return { ok: true, data: data ?? null };
    } catch (error) {
      return { ok: false, error: { code: codeOf(error), message: messageOf(error) } };
    } finally {
      over.abort();
    }
  };
  httpAdmin.get('/jetforce/nodes/:id/:query', mayRead, (req, res) => {
    const { id = '', query = '' } = req.params as Record<string, string>;
    void answer(req.acceptsLanguages(), (signal) =>
      actionOf(id, 'queries', query)(req.query as Params, signal),
    ).then((said) => res.json(said));
  });
  httpAdmin.post('/jetforce/nodes/:id/:action', mayWrite, (req, res) => {
    const { id = '', action = '' } = req.params as Record<string, string>;
    void answer(req.acceptsLanguages(), (signal) => {
      // A page of another origin could send anything else without being asked.
      if (!req.is('application/json')) throw new FlowError('BAD_REQUEST', say`The request is no JSON`, false);
      latest = undefined;
      return actionOf(id, 'actions', action)((req.body ?? {}) as Params, signal);
    }).then((said) => res.json(said));
  });
}

function noAnswer(): FlowError {
  return new FlowError('TIMEOUT', say`No answer within ${TIMEOUT / 1_000} s: look again whether it was done`);
}
