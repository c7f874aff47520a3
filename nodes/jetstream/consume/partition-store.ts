import { jsApi } from '../server/api';
import type { Connection } from '../server/connection';
import type { NatsConnection, Subscription } from '../server/nats';
import { Bucket } from '../streams/kv';
import type { GroupStore } from './partition-group';
import { TURNS_BUCKET } from './turn';

/** The bucket of turns, which tells what others write where the user may subscribe to it. */
export function groupStore(connection: Connection): GroupStore & { close(): void } {
  const bucket = new Bucket(connection, TURNS_BUCKET);
  const subjects = `$KV.${TURNS_BUCKET}.`;
  let listening: { nc: NatsConnection; subscription: Subscription } | undefined;
  let subscribe: (() => void) | undefined;
  const close = (): void => {
    if (listening && !listening.nc.isClosed()) listening.subscription.unsubscribe();
    listening = undefined;
    subscribe = undefined;
  };
  return {
    async get(key, signal) {
      subscribe?.();
      return bucket.get(key, signal);
    },
    put: (key, value, revision, signal) => bucket.put(key, value, revision, signal),
    listen(prefix, heard) {
      subscribe = () => {
        const nc = connection.open;
        if (!nc || listening?.nc === nc) return;
        const subscription = nc.subscribe(`${subjects}${prefix}.>`, {
          callback: (error, msg) => {
            if (!error) heard(msg.subject.slice(subjects.length), msg.string());
          },
        });
        listening = { nc, subscription };
      };
      subscribe();
      return close;
    },
    async remove(key) {
      const nc = connection.open;
      if (!nc) return;
      const filter = `${subjects}${key}`;
      // Where it may not be done, a short record stays.
      await jsApi(nc, connection.settings.domain, `STREAM.PURGE.KV_${TURNS_BUCKET}`, { filter }).catch(
        () => undefined,
      );
    },
    close,
  };
}
