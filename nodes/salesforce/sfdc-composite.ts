import type { Node, NodeAPI, NodeDef, NodeMessage, NodeStatus } from 'node-red';
import { gatherMessage, holdOf, inheritedUntil, pauseProcessing } from '../shared/flow/in-flow';
import { onInput, refuseInput } from '../shared/flow/input';
import { compilePayload, refuseTooDeep } from '../shared/payload';
import { operate } from '../shared/operations/registry';
import { parseDeployed, settingsFor, type Settings, type Stored } from '../shared/settings/settings';
import { StatusReporter } from '../shared/status';
import type { Carrier } from '../shared/tracing/context';
import { inSpan, tracerOf, type Span } from '../shared/tracing/tracer';
import { inTurn } from '../shared/async/in-order';
import { Gathering } from './composite/gathering';
import { rowsFailed } from './composite/results';
import type { RowResult, WriteRequest } from './composite/operations';
import { heldByOrg } from './org/state';
import { orgStatus } from './org/status';
import { sfdcComposite } from './sfdc-composite.settings';
import { sessionOf } from './sfdc-org';
import { Writer } from './composite/writer';
import { say } from '../shared/say';
import { speak } from '../shared/language';

type CompositeDef = NodeDef & Stored<typeof sfdcComposite>;
type CompositeSettings = Settings<typeof sfdcComposite>;

/** Node-RED gives up on a node that isn't closed after 15 s. */
const CLOSE_MS = 12_000;

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function SfdcComposite(this: Node, def: CompositeDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    const setUp = () => {
      const settings = parseDeployed(sfdcComposite, def);
      const { org, session } = sessionOf(RED, settings.org);
      return { org, session, settings, payloadOf: compilePayload(RED, this, settings.payload) };
    };
    let ready: ReturnType<typeof setUp>;
    try {
      ready = setUp();
    } catch (error) {
      refuseInput(this, error);
      status.show({ fill: 'red', shape: 'ring', text: RED._('status.misconfigured') });
      return;
    }

    const { org, session, payloadOf, settings } = ready;
    const { records: full, maxRequests } = settings.batch;
    // All requests under way, and one that fills up meanwhile; for a Bulk job as much as there may be.
    const gathering = new Gathering(() => full * (maxRequests + 1) + writer.room, gatherMessage);
    const log = (level: 'info' | 'warn', text: string) =>
      level === 'info' ? this.log(text) : this.warn(text);
    const tracer = tracerOf(RED);
    const writer = new Writer(session, { ...settings, ...settings.batch, tracer, log }, () => {
      gathering.fill();
      show();
    });
    const writing = (key: string, values: Record<string, number>): NodeStatus => ({
      fill: 'blue',
      shape: 'dot',
      text: RED._(key, values),
    });
    const { show, stop } = orgStatus(
      status,
      session,
      (key, values) => RED._(key, values),
      () => {
        const { calls, records, waiting, bulk } = writer.state;
        if (bulk && bulk.rows > 0 && calls === 0) return writing('status.bulk', { records: bulk.rows });
        if (bulk?.gathering && calls === 0) return writing('status.gathering', { records: waiting });
        if (calls === 0) return undefined;
        return writing(waiting > 0 ? 'status.writingMore' : 'status.writing', { records, waiting });
      },
    );
    const named = { id: this.id, name: this.name || `${settings.operation} ${settings.sobject}` };
    const unlist = operate({
      ...{ kind: 'writers', ...named },
      state: () =>
        session.secrets.inValue({
          ...named,
          messages: gathering.messages,
          held: heldByOrg(session.availability.current),
        }),
    });
    org.register(this);
    show();

    const ordered = inTurn();
    const outputsOf = (msg: Input, { operation, sobject }: CompositeSettings, results: RowResult[]) => {
      const sfdc = { operation, sobject, apiUsage: session.budget.usage };
      const failed = results.filter((result) => !result.success);
      const superseded = results.filter((result) => result.superseded).length;
      if (superseded > 0)
        this.log(
          say`A message came again after newer ones: ${superseded} of its records keep what those have written`,
        );
      if (failed.length > 0 && !isWired(this, 1)) throw rowsFailed(operation, sobject, results);
      const nothingWritten = failed.length > 0 && failed.length === results.length;
      return [
        nothingWritten ? null : { ...msg, payload: results, sfdc },
        failed.length > 0 ? { ...msg, payload: failed, sfdc } : null,
      ];
    };
    // No async functions: a hundred thousand messages may wait here, and each `await` of each takes 600 bytes.
    const write = (
      msg: Input,
      own: CompositeSettings,
      source: Source,
      span: Span | undefined,
      given: unknown,
    ) => {
      const payload = refuseTooDeep(given);
      const leave = gathering.add(Array.isArray(payload) ? payload.length : 1, msg);
      return writer
        .write(requestOf(msg, own, payload, source, span), () => pauseProcessing(msg))
        .then(
          (results) => {
            leave();
            return outputsOf(msg, own, results);
          },
          (error: unknown) => {
            leave();
            throw error;
          },
        );
    };
    onInput(this, (msg: Input) => {
      const own = settingsFor(sfdcComposite, settings, msg);
      const { operation, sobject } = own;
      const name = `${operation} ${sobject}`;
      const source = { hold: holdOf(msg), inheritedUntil: inheritedUntil(msg) };
      return inSpan(tracer, { name, kind: 'INTERNAL' }, msg, (span) => {
        const byId = operation === 'get' || operation === 'delete';
        const given = byId && msg.ids !== undefined ? msg.ids : payloadOf(msg);
        if (!(given instanceof Promise)) return write(msg, own, source, span, given);
        return ordered(given).then((payload) => write(msg, own, source, span, payload));
      });
    });

    this.on('close', (_removed: boolean, done: () => void) => {
      unlist();
      void writer.close(CLOSE_MS).finally(() => {
        stop();
        org.deregister(this);
        done();
      });
    });
  }

  RED.nodes.registerType('sfdc-composite', SfdcComposite);
}

type Source = Pick<WriteRequest, 'hold' | 'inheritedUntil'>;

interface Input extends NodeMessage, Carrier {
  /** For get and delete, instead of a payload. */
  ids?: unknown;
  jetstream?: Partial<Record<'sequence' | 'deliveries' | 'pending', number | number[]>> &
    Partial<Record<'stream' | 'consumer', string>> & { timestamp?: string | string[] };
}

function requestOf(
  msg: Input,
  settings: CompositeSettings,
  payload: unknown,
  { hold, inheritedUntil }: Source,
  span: Span | undefined,
): WriteRequest {
  const { operation, sobject, externalIdField, allOrNone, fields } = settings;
  const { deliveries } = msg.jetstream ?? {};
  return {
    operation,
    sobject,
    externalIdField,
    allOrNone,
    fields,
    payload,
    repeated: Array.isArray(deliveries) ? deliveries.some((count) => count > 1) : (deliveries ?? 1) > 1,
    trace: span?.context,
    origin: originOf(msg.jetstream, payload),
    pending: pendingOf(msg.jetstream?.pending),
    hold,
    inheritedUntil,
  };
}

function pendingOf(pending: number | number[] | undefined): number | undefined {
  return Array.isArray(pending) ? pending.at(-1) : pending;
}

/** Of a message of many, the origin of each record, as long as the flow has left each at its place. */
function originOf(jetstream: Input['jetstream'], payload: unknown): WriteRequest['origin'] {
  const { stream = '', consumer = '', sequence, timestamp } = jetstream ?? {};
  const from = `${stream} ${consumer}`;
  if (typeof sequence === 'number' && typeof timestamp === 'string')
    return { consumer: from, sequence, timestamp };
  if (!Array.isArray(sequence) || !Array.isArray(timestamp)) return undefined;
  if (!Array.isArray(payload) || payload.length !== sequence.length) return undefined;
  return sequence.map((each, i) => ({ consumer: from, sequence: each, timestamp: timestamp[i] ?? '' }));
}

function isWired(node: Node, output: number): boolean {
  const { wires } = node as Node & { wires?: string[][] };
  return (wires?.[output]?.length ?? 0) > 0;
}
