/** Which resource answers a REST call under /services/data/vXX.X. */
import { ingestJobs } from '../bulk/ingest';
import { queryJobs } from '../bulk/query';
import { collections } from './collections';
import { batch, composite, graph } from './composite';
import { resources } from './describe';
import { ApiError, notFound } from '../store/errors';
import { query } from './query';
import { onlyGet, sobjects } from './sobjects';
import { tooling } from '../pubsub/tooling';
import { type Call, type OrgState, type Reply } from '../state';
import { tree } from './tree';

export function answer(org: OrgState, call: Call): Reply {
  const [resource, second] = call.path;
  switch (resource?.toLowerCase()) {
    case undefined:
      return onlyGet(call, () => resources(call.version));
    case 'limits':
      return onlyGet(call, () => ({ status: 200, body: org.limits }));
    case 'sobjects':
      return sobjects(org, call);
    case 'query':
    case 'queryall':
      return query(org, call);
    case 'jobs':
      if (second === 'query') return queryJobs(org, call);
      if (second === 'ingest') return ingestJobs(org, call);
      throw notFound();
    case 'composite':
      return compositeFamily(org, call, second);
    case 'tooling':
      return tooling(org, call);
    default:
      throw notFound();
  }
}

function compositeFamily(org: OrgState, call: Call, kind: string | undefined): Reply {
  switch (kind) {
    case undefined:
      return composite(org, call, answer);
    case 'sobjects':
      return collections(org, call);
    case 'tree':
      return tree(org, call);
    case 'batch':
      return batch(org, call, answer, () => spend(org));
    case 'graph':
      return graph(org, call, answer);
    default:
      throw notFound();
  }
}

/** One call of the day's; a spent limit refuses everything until it is raised. */
export function spend(org: OrgState): void {
  const daily = org.limits.DailyApiRequests;
  if (!daily) return;
  if (daily.Remaining <= 0)
    throw new ApiError(403, 'REQUEST_LIMIT_EXCEEDED', 'TotalRequests Limit exceeded.');
  daily.Remaining--;
}
