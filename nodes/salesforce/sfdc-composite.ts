import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import { parseDuration } from '../shared/duration';
import { messageOf } from '../shared/errors';
import { pauseProcessing } from '../shared/flow-completion';
import { compilePayload, type PayloadConfig } from '../shared/payload';
import { StatusReporter } from '../shared/status';
import { inTurn } from './in-turn';
import { rowsFailed } from './job';
import { CALL_RECORDS, invalid } from './limits';
import { OPERATIONS, type Operation, type RowResult, type WriteRequest } from './operations';
import { orgStatus } from './org-status';
import { sessionOf } from './sfdc-org';
import { Writer, type WriterOptions } from './writer';

interface CompositeDef extends NodeDef {
  org: string;
  operation: Operation;
  sobject?: string;
  externalIdField?: string;
  allOrNone?: boolean;
  fields?: string | string[];
  payload?: PayloadConfig;
  allowDuplicateSave?: boolean;
  autoAssign?: boolean;
  batch?: { records?: number | string; maxRequests?: number | string; linger?: string; coalesce?: boolean };
  onOutage?: 'hold' | 'fail';
}

/** Node-RED gives up on a node that isn't closed after 15 s. */
const CLOSE_MS = 12_000;

export default function (RED: NodeAPI): void {
  function SfdcComposite(this: Node, def: CompositeDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    const setUp = () => {
      const { org, session } = sessionOf(RED, def.org);
      const payloadOf = compilePayload(RED, this, def.payload ?? { mode: 'event' });
      return { org, session, payloadOf, options: optionsOf(def) };
    };
    let ready: ReturnType<typeof setUp>;
    try {
      ready = setUp();
    } catch (error) {
      this.on('input', (_msg, _send, done) => done(error as Error));
      this.error(messageOf(error));
      status.show({ fill: 'red', shape: 'ring', text: RED._('status.misconfigured') });
      return;
    }

    const { org, session, payloadOf, options } = ready;
    const writer = new Writer(session, options, () => show());
    const { show, stop } = orgStatus(
      status,
      session,
      (key, values) => RED._(key, values),
      () => {
        const { calls, records, waiting } = writer.state;
        if (calls === 0) return undefined;
        return {
          fill: 'blue',
          shape: 'dot',
          text: RED._(waiting > 0 ? 'status.writingMore' : 'status.writing', { records, waiting }),
        };
      },
    );
    org.register(this);
    show();

    const ordered = inTurn();
    const write = async (msg: NodeMessage & Overrides): Promise<RowResult[]> => {
      const operation = operationOf(msg, def);
      const byId = operation === 'get' || operation === 'delete';
      const given = byId && msg.ids !== undefined ? msg.ids : payloadOf(msg);
      const payload: unknown = given instanceof Promise ? await ordered(given) : given;
      return writer.write(requestOf(msg, def, operation, payload), () => pauseProcessing(msg));
    };

    this.on('input', (msg: NodeMessage & Overrides, send, done) => {
      write(msg).then((results) => {
        const { operation, sobject } = settingsOf(msg, def);
        const sfdc = { operation, sobject, apiUsage: session.budget.usage };
        const failed = results.filter((result) => !result.success);
        const superseded = results.filter((result) => result.superseded).length;
        if (superseded > 0)
          this.log(
            `A message came again after newer ones: ${superseded} of its records keep what those have written`,
          );
        if (failed.length > 0 && !isWired(this, 1)) return done(rowsFailed(operation, sobject, results));
        const nothingWritten = failed.length > 0 && failed.length === results.length;
        send([
          nothingWritten ? null : { ...msg, payload: results, sfdc },
          failed.length > 0 ? { ...msg, payload: failed, sfdc } : null,
        ]);
        done();
      }, done);
    });

    this.on('close', (_removed: boolean, done: () => void) => {
      void writer.close(CLOSE_MS).finally(() => {
        stop();
        org.deregister(this);
        done();
      });
    });
  }

  RED.nodes.registerType('sfdc-composite', SfdcComposite);
}

/** Properties of a message that stand in for the settings of the node. */
interface Overrides {
  operation?: unknown;
  sobject?: unknown;
  externalIdField?: unknown;
  allOrNone?: unknown;
  ids?: unknown;
  fields?: unknown;
  jetstream?: Partial<Record<'sequence' | 'deliveries', number | number[]>> &
    Partial<Record<'stream' | 'consumer', string>> & { timestamp?: string | string[] };
}

function requestOf(msg: Overrides, def: CompositeDef, operation: Operation, payload: unknown): WriteRequest {
  const { deliveries } = msg.jetstream ?? {};
  return {
    ...settingsOf(msg, def),
    operation,
    payload,
    repeated: Array.isArray(deliveries) ? deliveries.some((count) => count > 1) : (deliveries ?? 1) > 1,
    origin: originOf(msg.jetstream, payload),
  };
}

/** Of a message of many, the origin of each record, as long as the flow has left each at its place. */
function originOf(jetstream: Overrides['jetstream'], payload: unknown): WriteRequest['origin'] {
  const { stream = '', consumer = '', sequence, timestamp } = jetstream ?? {};
  const from = `${stream} ${consumer}`;
  if (typeof sequence === 'number' && typeof timestamp === 'string')
    return { consumer: from, sequence, timestamp };
  if (!Array.isArray(sequence) || !Array.isArray(timestamp)) return undefined;
  if (!Array.isArray(payload) || payload.length !== sequence.length) return undefined;
  return sequence.map((each, i) => ({ consumer: from, sequence: each, timestamp: timestamp[i] ?? '' }));
}

function settingsOf(msg: Overrides, def: CompositeDef) {
  const fields = msg.fields ?? def.fields ?? [];
  return {
    operation: operationOf(msg, def),
    sobject: textOf(msg.sobject ?? def.sobject),
    externalIdField: textOf(msg.externalIdField ?? def.externalIdField) || undefined,
    allOrNone: (msg.allOrNone ?? def.allOrNone) === true,
    fields: (Array.isArray(fields) ? fields.map(textOf) : textOf(fields).split(','))
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  };
}

function operationOf(msg: Overrides, def: CompositeDef): Operation {
  const operation = textOf(msg.operation ?? def.operation);
  const known = OPERATIONS.find((name) => name === operation);
  if (known) return known;
  throw invalid(
    'INVALID_OPERATION',
    `"${operation}" is not an operation; use one of ${OPERATIONS.join(', ')} in the node or in msg.operation`,
  );
}

function optionsOf(def: CompositeDef): WriterOptions {
  const { records, maxRequests, linger, coalesce } = def.batch ?? {};
  return {
    records: whole('batch.records', records, CALL_RECORDS, CALL_RECORDS),
    maxRequests: whole('batch.maxRequests', maxRequests, 4, 25),
    linger: parseDuration(linger || '0ms', 'batch.linger'),
    coalesce: coalesce === true,
    onOutage: def.onOutage === 'fail' ? 'fail' : 'hold',
    allowDuplicateSave: def.allowDuplicateSave,
    autoAssign: def.autoAssign,
  };
}

function whole(setting: string, value: number | string | undefined, standard: number, most: number): number {
  const number = value === undefined || value === '' ? standard : Number(value);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw invalid('INVALID_SETTING', `${setting}: ${value} is not a whole number between 1 and ${most}`);
}

function isWired(node: Node, output: number): boolean {
  const { wires } = node as Node & { wires?: string[][] };
  return (wires?.[output]?.length ?? 0) > 0;
}

function textOf(value: unknown): string {
  return typeof value === 'string'
    ? value.trim()
    : value === undefined || value === null
      ? ''
      : JSON.stringify(value);
}
