import type { NodeAPI } from 'node-red';
import { decodePayload, deliveryInfo } from '../../nodes/jetstream/consume/message';
import { compileOutgoing } from '../../nodes/jetstream/publish/outgoing';
import { readPubAck } from '../../nodes/jetstream/publish/pub-ack';
import { serverList, splitLogin } from '../../nodes/jetstream/server/server-settings';
import {
  checkPublishSubject,
  checkStreamName,
  overlap,
  parseSubjects,
} from '../../nodes/jetstream/streams/subjects';
import { compileCodec } from '../../nodes/salesforce/pubsub/avro';
import { compileConversion } from '../../nodes/salesforce/pubsub/avro-convert';
import { eventFields } from '../../nodes/salesforce/pubsub/avro-fields';
import { isChange, readChange } from '../../nodes/salesforce/pubsub/change-events';
import { parseEndpoint } from '../../nodes/salesforce/pubsub/endpoint';
import { restError } from '../../nodes/salesforce/org/answer';
import { sfdcComposite } from '../../nodes/salesforce/sfdc-composite.settings';
import { jetstreamIn } from '../../nodes/jetstream/jetstream-in.settings';
import { jetstreamServer } from '../../nodes/jetstream/jetstream-server.settings';
import { apiSource } from '../../nodes/sync/api-source.settings';
import { apiSyncOut } from '../../nodes/sync/api-sync-out.settings';
import { isoTime, readBody } from '../../nodes/sync/engine/record';
import { csvLines } from '../../nodes/shared/csv';
import { parseDuration, parseDurations } from '../../nodes/shared/duration';
import { codeOf, errorOf, messageOf } from '../../nodes/shared/errors';
import { exactNumber, parseJson, stringifyJson } from '../../nodes/shared/json';
import { nearest } from '../../nodes/shared/nearest';
import { compilePayload } from '../../nodes/shared/payload';
import { Secrets } from '../../nodes/shared/secrets';
import { parseSettings, settingsFor } from '../../nodes/shared/settings/settings';
import { parseSize } from '../../nodes/shared/size';
import { compileTemplate, compileText, templateScope } from '../../nodes/shared/template';
import { parseTime } from '../../nodes/shared/time';
import { escapeToken, unescapeToken } from '../../nodes/shared/token';
import { json, message, name, text, thrown, value } from './hostile';
import type { Random } from './random';

const SETTINGS = [sfdcComposite, jetstreamIn, jetstreamServer, apiSource, apiSyncOut];

const SCHEMA = JSON.stringify({
  type: 'record',
  name: 'E',
  fields: [
    { name: 'CreatedDate', type: 'long' },
    { name: 'Text__c', type: ['null', 'string'] },
    { name: 'List', type: { type: 'array', items: 'null' } },
    { name: 'Map', type: { type: 'map', values: ['null', 'long', 'double'] } },
  ],
});

const bytes = (r: Random): Buffer =>
  Buffer.from(Array.from({ length: r.below(40) }, () => (r.chance(0.4) ? 0xff : r.below(256))));

/** What holds each setting of a node, wrong in some of them. */
function config(r: Random): Record<string, unknown> {
  const { settings } = r.pick(SETTINGS);
  return Object.fromEntries(
    Object.entries(settings).map(([key, { default: good }]) => [key, r.chance(0.2) ? json(r) : good]),
  );
}

/** Each of them either gives something or throws an Error. */
export const PARSERS: Record<string, (r: Random) => unknown> = {
  duration: (r) => parseDuration(r.chance(0.8) ? text(r) : (value(r) as string)),
  durations: (r) => parseDurations(text(r)),
  size: (r) => parseSize(text(r), 'size'),
  time: (r) => [parseTime(text(r)), isoTime(text(r)), isoTime(json(r))],
  token: (r) => [escapeToken(text(r)), unescapeToken(text(r))],
  json: (r) => parseJson(r.chance(0.5) ? text(r) : (JSON.stringify(json(r)) ?? '')),
  number: (r) => exactNumber(text(r)),
  stringify: (r) => stringifyJson(value(r)),
  csv: (r) => [...csvLines(text(r))],
  subject: (r) => checkPublishSubject(text(r)),
  subjects: (r) => parseSubjects(text(r)),
  overlap: (r) => overlap(text(r).slice(0, 1_000), text(r).slice(0, 1_000)),
  stream: (r) => checkStreamName(text(r)),
  servers: (r) => serverList(text(r)),
  server: (r) => splitLogin({ ...parseSettings(jetstreamServer, {}), tls: undefined, servers: text(r) }),
  endpoint: (r) => parseEndpoint(text(r)),
  template: (r) => {
    const template = r.pick([
      text(r),
      '{{payload}}',
      'x {{payload}} {{msg.jetstream.subject}}',
      '{{event.data.a}}',
    ]);
    const scope = templateScope(message(r), () => undefined);
    return r.chance(0.5)
      ? compileTemplate(template)(scope)
      : compileText(template, { escape: escapeToken })(scope);
  },
  outgoing: (r) => {
    const headers = [{ name: r.pick([text(r), '{{topic}}', 'a']), value: r.pick([text(r), '{{payload}}']) }];
    const subject = r.pick(['{{topic}}', text(r), 'crm.{{payload}}']);
    const settings = { subject, escapeTokens: r.chance(0.5), msgId: text(r), headers };
    return compileOutgoing(settings)(templateScope(message(r), () => undefined));
  },
  settings: (r) => parseSettings(r.pick(SETTINGS), config(r)),
  override: (r) =>
    settingsFor(sfdcComposite, parseSettings(sfdcComposite, { org: 'o', sobject: 'A' }), message(r)),
  payload: (r) =>
    decodePayload(
      Buffer.from(r.chance(0.5) ? text(r) : bytes(r)),
      r.pick(['auto', 'json', 'string', 'buffer']),
    ),
  delivery: (r) => deliveryInfo(text(r)),
  'publish answer': (r) => readPubAck({ json: <T>() => json(r) as T }),
  'field map': (r) => {
    const fields = [
      { name: name(r), type: r.pick(['str', 'num', 'json', 'template', 'bool']), value: text(r) },
    ];
    const RED = { util: { evaluateNodeProperty: () => value(r), getSetting: () => value(r) } };
    const config = { mode: 'map', fields } as Parameters<typeof compilePayload>[2];
    return compilePayload(RED as unknown as NodeAPI, {} as never, config)(message(r));
  },
  'rest error': (r) => restError({ status: r.below(600), body: json(r) }),
  'record body': (r) => readBody(r.chance(0.5) ? text(r) : (JSON.stringify(json(r)) ?? '')),
  schema: (r) => {
    const schema = r.chance(0.5)
      ? (JSON.stringify(json(r)) ?? '')
      : SCHEMA.replace('"null"', JSON.stringify(json(r, 1)) ?? '""');
    return [eventFields(schema), compileCodec(schema)];
  },
  avro: (r) => {
    const event = compileCodec(SCHEMA).decode(bytes(r));
    return isChange(event) ? readChange(event, eventFields(SCHEMA)) : event;
  },
  'change event': (r) =>
    readChange(
      { ChangeEventHeader: { changedFields: json(r), nulledFields: [text(r)], recordIds: json(r) } },
      eventFields(SCHEMA),
    ),
  conversion: (r) =>
    compileConversion('E', eventFields(SCHEMA))(value(r), { CreatedById: 'x', CreatedDate: 1 }),
  nearest: (r) => nearest(text(r), [text(r), text(r), 'LastName']),
  words: (r) => {
    const what = thrown(r);
    return [
      messageOf(what),
      codeOf(what),
      errorOf(what).message,
      new Secrets(text(r), 'abcdefgh').inError(what),
    ];
  },
};
