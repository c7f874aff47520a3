import type { Node, NodeAPI, NodeDef, NodeMessage } from 'node-red';
import type { Connection } from '../jetstream/server/connection';
import type { Carrier } from '../shared/tracing/context';
import { inSpan, tracerOf } from '../shared/tracing/tracer';
import { connectionOf } from '../jetstream/jetstream-server';
import { contextIsConfigured, contextIsVolatile } from '../shared/context-storage';
import { FlowError } from '../shared/errors';
import { pauseProcessing } from '../shared/flow/in-flow';
import { onInput, refuseInput } from '../shared/flow/input';
import { contextPositions } from '../shared/positions';
import { claimStream, type Claim } from '../jetstream/streams/claims';
import { whenDeployed } from '../shared/flow/deployed';
import { operate, type Action } from '../shared/operations/registry';
import { parseDeployed, type Stored } from '../shared/settings/settings';
import { StatusReporter } from '../shared/status';
import { logOf } from '../shared/log';
import type { SourceNode } from './api-source';
import { apiSyncOut, recordStreamOf } from './api-sync-out.settings';
import type { ControlCommand } from './engine/control';
import { SyncOut, type Source } from './engine/sync-out';
import { troubleTeller } from './engine/trouble';
import { collectionState, syncStatus } from './engine/status';
import { publishSpan } from './engine/traced';
import { withTimeout } from '../shared/async/timeout';
import { say } from '../shared/say';
import { speak } from '../shared/language';

type SyncOutDef = NodeDef & Stored<typeof apiSyncOut>;

type SyncOutMessage = NodeMessage & Carrier & { sync_id?: unknown };

/** Node-RED gives up on a node that isn't closed after 15 s. */
const CLOSE_MS = 12_000;
const COMMANDS = new Set<unknown>(['start', 'stop', 'resync', 'reconcile'] satisfies ControlCommand[]);

export default function (RED: NodeAPI): void {
  speak(RED._('language'));

  function ApiSyncOut(this: Node, def: SyncOutDef): void {
    RED.nodes.createNode(this, def);
    const status = new StatusReporter(this);
    const tracer = tracerOf(RED);
    let connection: Connection;
    let out: SyncOut;
    let claim: Claim | undefined;
    let started = false;
    let conflict: FlowError | undefined;
    const show = (): void =>
      status.show(() =>
        conflict
          ? { fill: 'red', shape: 'ring', text: RED._('status.conflict') }
          : syncStatus(out.progress, connection.state, (key, values) => RED._(key, { ...values })),
      );
    const troubles = troubleTeller(logOf(this, (text) => connection.secrets.strike(text)));
    const setUp = (): SyncOut => {
      const settings = parseDeployed(apiSyncOut, def);
      connection = connectionOf(RED, settings.server);
      if (def.source && !sourceNode(def.source)?.settings)
        throw new FlowError(
          'NO_SOURCE',
          say`The api-source chosen is not there, or its settings are wrong`,
          false,
        );
      if (settings.bucket === undefined && contextIsVolatile(RED))
        this.warn(
          say`The position is kept in memory, so after a restart of Node-RED everything is read and compared again. Set contextStorage in settings.js to keep it, or keep it in a KV bucket`,
        );
      const { provision, stream, streamConfig = {}, subjectPrefix, narrow = false } = settings;
      const asked = { settings: recordStreamOf(streamConfig, subjectPrefix), narrow };
      if (provision) claim = claimStream(connection, `api-sync-out "${this.name || this.id}"`, stream, asked);
      return new SyncOut(
        connection,
        settings,
        {
          progress: (payload) => {
            troubles.tell(payload);
            this.send({ topic: payload.collection, payload });
          },
          changed: () => show(),
          log: troubles.log,
          tracer,
        },
        () => contextPositions(this, contextIsConfigured(RED)),
      );
    };
    try {
      out = setUp();
    } catch (error) {
      claim?.release();
      refuseInput(this, error);
      status.show({ fill: 'red', shape: 'ring', text: RED._('status.misconfigured') });
      return;
    }

    // Sources are found when all flows have started, and again after each deploy: nothing else refers to them.
    const forget = whenDeployed(RED, () => {
      // Another node may provision the same stream; one that runs is not held up by a newcomer.
      if (!started) conflict = conflictOf(claim);
      started = conflict === undefined;
      if (conflict) this.error(conflict.message);
      else out.setSources(findSources(this, def.source));
      show();
    });
    show();
    const unlist = operate({
      ...{ kind: 'syncs', id: this.id, name: this.name || this.id, actions: syncActions(out) },
      state: () => ({
        ...{ id: this.id, name: this.name || this.id, server: def.server ?? '', stream: out.streamName },
        collections: connection.secrets.inValue(out.progress.map(collectionState)),
      }),
    });

    const publishing = publishSpan(out.streamName);
    onInput(this, async (msg: SyncOutMessage) => {
      if (conflict) throw conflict;
      try {
        await handle(out, msg, connection, (write) => inSpan(tracer, publishing, msg, write));
      } catch (error) {
        throw connection.secrets.inError(error);
      }
      return undefined;
    });

    this.on('close', (_removed: boolean, done: () => void) => {
      forget();
      unlist();
      claim?.release();
      void withTimeout(CLOSE_MS, out.stop()).finally(() => {
        status.stop();
        done();
      });
    });
  }

  RED.nodes.registerType('api-sync-out', ApiSyncOut);

  function sourceNode(id: string): SourceNode | undefined {
    const node = RED.nodes.getNode(id) as SourceNode | null;
    return node?.type === 'api-source' ? node : undefined;
  }

  function findSources(user: Node, chosen: string | undefined): Source[] {
    const ids: string[] = chosen ? [chosen] : [];
    if (!chosen) RED.nodes.eachNode(({ id, type }) => void (type === 'api-source' && ids.push(id)));
    return ids.flatMap((id) => sourceNode(id)?.sourceFor(user) ?? []);
  }
}

function conflictOf(claim: Claim | undefined): FlowError | undefined {
  try {
    claim?.check();
  } catch (error) {
    return error as FlowError;
  }
  return undefined;
}

/** Of one collection, or of all. */
function syncActions(out: SyncOut): Record<ControlCommand, Action> {
  const command =
    (name: ControlCommand): Action =>
    ({ collection }) =>
      out.command(name, collectionsOf(collection));
  return {
    ...{ start: command('start'), stop: command('stop') },
    ...{ resync: command('resync'), reconcile: command('reconcile') },
  };
}

async function handle(
  out: SyncOut,
  msg: SyncOutMessage,
  connection: Connection,
  inOwnSpan: (write: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const { topic, payload, sync_id } = msg;
  if (topic === 'status') return out.tellAll();
  // Waiting for a server that is away is not the flow's hanging.
  const resume = connection.open ? undefined : pauseProcessing(msg);
  try {
    if (COMMANDS.has(topic)) await out.command(topic as ControlCommand, collectionsOf(payload));
    else await inOwnSpan(() => out.write(payload, typeof sync_id === 'string' ? sync_id : undefined));
  } finally {
    resume?.();
  }
}

/** An inject node sends a payload whether it is meant or not: what names no collection means all. */
function collectionsOf(payload: unknown): string[] {
  const list = Array.isArray(payload) ? (payload as unknown[]) : [payload];
  return list.filter((name): name is string => typeof name === 'string' && name.trim() !== '');
}
