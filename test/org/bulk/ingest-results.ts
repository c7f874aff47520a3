/** What an ingest job has to say about each row: successfulResults, failedResults, unprocessedrecords. */
import { csvLine } from './csv';
import { type IngestJob } from './ingest-job';
import { notFound, type RowError } from '../store/errors';
import { type SaveResult } from '../store/dml';
import { type Reply } from '../state';

export function results(job: IngestJob, part: string): Reply {
  const line = (values: readonly string[]): string => csvLine(values, job.separator, job.lineEnding);
  const lines = linesOf(job, part.toLowerCase());
  if (!lines) throw notFound();
  return { status: 200, body: lines.map(line).join(''), headers: { 'Content-Type': 'text/csv' } };
}

function linesOf(job: IngestJob, part: string): string[][] | undefined {
  const worked = job.results.map((result, i) => ({ result, row: job.rows[i] ?? [] }));
  switch (part) {
    case 'successfulresults':
      return [
        ['sf__Id', 'sf__Created', ...job.header],
        ...worked
          .filter(({ result }) => result.success)
          .map(({ result, row }) => [result.id ?? '', String(isCreated(job, result)), ...row]),
      ];
    case 'failedresults':
      return [
        ['sf__Id', 'sf__Error', ...job.header],
        ...worked
          .filter(({ result }) => !result.success)
          .map(({ result, row }) => [result.id ?? '', errorText(result.errors[0]), ...row]),
      ];
    case 'unprocessedrecords':
      return [job.header, ...job.rows.slice(job.results.length)];
    default:
      return undefined;
  }
}

function isCreated({ operation }: IngestJob, { created }: SaveResult): boolean {
  return operation === 'insert' || created === true;
}

/** `REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --` */
function errorText(error: RowError | undefined): string {
  if (!error) return '';
  const { statusCode, message, fields } = error;
  return `${statusCode}:${message}:${fields.length > 0 ? `${fields.join(' ')} ` : ''}--`;
}
