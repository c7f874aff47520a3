/** Faults of an org: beside calls they hit rows, and calls of the Pub/Sub side. */
import { rowError, type RowError } from '../store/errors';
import * as simulated from '../../support/simulated/faults';

export interface FaultMatch extends simulated.FaultMatch {
  /** Pub/Sub topic. */
  topic?: string;
}

export interface FaultAction extends simulated.FaultAction {
  /** Refuse the row: a status code such as UNABLE_TO_LOCK_ROW, or the whole error. */
  rowError?: string | { statusCode: string; message?: string; fields?: string[] };
  /** Leave these headers out of the answer. */
  omit?: readonly string[];
  /** Lose so many of the last rows of an answer in CSV, whatever its headers say. */
  loseRows?: number;
  /** For the Pub/Sub side: a GrpcAction. Such faults, and those that name a topic, are for its calls alone. */
  grpc?: unknown;
}

export type Fault = simulated.Fault<FaultMatch, FaultAction>;

export interface Occasion extends simulated.Occasion {
  topic?: string;
}

export class Faults extends simulated.Faults<FaultMatch, FaultAction> {
  /** The first fault for this call, which counts as one time of it. Faults of rows are not for calls. */
  override forCall(occasion: Occasion): FaultAction | undefined {
    return this.take(
      (fault) =>
        fault.action.rowError === undefined &&
        isFor(fault, occasion) &&
        (fault.match?.record === undefined ||
          (occasion.records?.() ?? []).some((record) =>
            simulated.matchesRecord(fault.match?.record, record),
          )),
    );
  }

  /** The refusal that a fault has for this row of this call. */
  forRow(occasion: Occasion, record: Readonly<Record<string, unknown>>): RowError | undefined {
    const action = this.take(
      (fault) =>
        fault.action.rowError !== undefined &&
        isFor(fault, occasion) &&
        simulated.matchesRecord(fault.match?.record, record),
    );
    const error = action?.rowError;
    if (error === undefined) return undefined;
    if (typeof error === 'string')
      return rowError(error, action?.message ?? MESSAGES[error] ?? `simulated ${error}`);
    return rowError(
      error.statusCode,
      error.message ?? MESSAGES[error.statusCode] ?? `simulated ${error.statusCode}`,
      error.fields ?? [],
    );
  }
}

const MESSAGES: Record<string, string> = {
  UNABLE_TO_LOCK_ROW: 'unable to obtain exclusive access to this record',
  FIELD_CUSTOM_VALIDATION_EXCEPTION: 'The record breaks a validation rule',
  CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY: 'Trigger: execution of BeforeInsert',
};

function isFor({ match, action }: Fault, occasion: Occasion): boolean {
  const isForGrpc = action.grpc !== undefined || match?.topic !== undefined || match?.method === 'GRPC';
  return (
    isForGrpc === (occasion.method === 'GRPC') &&
    (match?.topic === undefined || match.topic === occasion.topic) &&
    simulated.matchesCall(match, occasion)
  );
}
