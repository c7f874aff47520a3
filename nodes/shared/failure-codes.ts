/**
 * Every failure code of this pack: whether the same message may be tried again and whether that counts as a try, what
 * happened, and what to do.
 * docs/failure-codes.md is made from it. `<number>` stands for any number. Codes of others (status codes of
 * Salesforce, of gRPC, of NATS or the system) are passed on as they are, and not listed.
 */
export const FAILURE_CODES = {
  AMBIGUOUS_WRITE: never(
    'The answer to a create was lost: the records may be in the org or not, and repeating could create them twice.',
    'Look in the org, then send what is missing. Upsert by an external id can be repeated, so prefer it.',
  ),
  ANSWER_TOO_LARGE: retried(
    'The org answered with more than is read into memory.',
    'Ask for less at once, or look at what stands between here and the org.',
  ),
  API_BUDGET_SPENT: outage(
    "The org's daily API calls have reached the share that this pack may bring them to.",
    'Wait until older calls fall out of the last 24 hours, or raise the API budget of the sfdc-org.',
  ),
  API_LIMIT: outage(
    'The API that a sync reads has answered that its own limit of requests is spent.',
    'Nothing: the sync goes on when the API says so. Lower the API budget or ask less often if it stays.',
  ),
  API_LOGIN: depends(
    'The API that a sync reads refuses the token, or gives none for the credentials.',
    'Enter a token that is valid in the api-source; the message has what the API said.',
  ),
  API_PAGING: retried(
    'The API that a sync reads names a page that it has given already, or one that can never end.',
    'Nothing for once: the list is begun again. If it stays, report it to the maker of the API.',
  ),
  API_REFUSED: depends(
    'The API that a sync reads refused a request.',
    'Read the message: it has what the API said, and which right may be missing.',
  ),
  API_UNREACHABLE: outage(
    'The API that a sync reads could not be reached, or answered with an error of its own.',
    'Nothing: it is tried again. If it stays, check the address, the network and the proxy.',
  ),
  AUTHORIZATION: outage(
    'The NATS server refused the login, or the credentials have expired.',
    'Check the authentication of the jetstream-server node, or renew the credentials.',
  ),
  BAD_CREDENTIALS: depends(
    'Credentials for NATS are missing, malformed, or in a file that cannot be read.',
    'Enter what the message names in the jetstream-server node, or mend the file.',
  ),
  BAD_PAYLOAD: never(
    'A message is not what the format of jetstream-in says (no JSON, or no UTF-8 text), or nests deeper than 200 levels; or a node of the flow sent what can not be cloned.',
    'Mend the sender, or choose another format.',
  ),
  BAD_REQUEST: never(
    'A look-up of a form was asked for with something that is no JSON body of a form.',
    'Use the editor, or send what it sends.',
  ),
  BAD_SERVER: depends(
    'An address in the jetstream-server node is none of a NATS server.',
    'Enter host and port as nats://host:4222, and commas between several.',
  ),
  BIG_NUMBER: never(
    'JSON holds a number that would not stay exact in Node-RED, and the jetstream-in refuses such.',
    'Let the sender write it as text, or set "Big numbers" of the jetstream-in to text.',
  ),
  CLOSED: stopped(
    'The node or the connection was stopped while it waited.',
    'Nothing: the message comes again, and this delivery does not count as a try.',
  ),
  CONNECTION_CLOSED: outage(
    'NATS closed the connection for good.',
    'See the log of the nats-server for the reason; deploy again to connect anew.',
  ),
  CONNECTION_ENDED: outage(
    'The NATS server, or something in front of it, ended the connection before it was complete.',
    'Look in the log of the nats-server: it may want TLS first, a client certificate, or have too many connections.',
  ),
  CONNECTION_REFUSED: outage(
    'Nothing answers at the address of the NATS server.',
    'Start nats-server, or correct host and port.',
  ),
  CONNECT_FAILED: outage(
    'The connection to NATS failed for a reason that has no code of its own.',
    'Read the message; check address, network and TLS.',
  ),
  CONSUMER_CHANGING: retried(
    'The durable consumer is created and deleted by others at the same moment.',
    'Nothing for once; if it stays, give each reader a durable name of its own.',
  ),
  CONSUMER_FAILED: retried(
    'Reading from the consumer failed for an unforeseen reason.',
    'Read the message; the node tries again by itself.',
  ),
  CONTROL_CONTESTED: retried(
    'Other instances command the same sync at the same time, so that the command could not be kept.',
    'Send the command again.',
  ),
  CONTESTED_SUBJECT: retried(
    "Somebody else publishes to a sync's own subjects at the same time.",
    'Give every sync an id of its own, and let nobody else publish there.',
  ),
  DEAD_LETTER_FAILED: retried(
    'The dead letter could not be written, so the message stays in the stream.',
    'Give the dead letter subject a stream that takes it, and the user the right to publish there.',
  ),
  DEAD_LETTER_LOOP: never(
    'The dead letter subject is one that the node itself reads, or the message went round between nodes that are the dead letter of each other.',
    'Choose a subject outside of those that these nodes read.',
  ),
  DEAD_LETTER_REFUSED: never(
    'The dead letter can never be written, because even its payload alone is too large or it has been a dead letter too often: the message is given up, and stays in its stream.',
    'Fetch the message by the sequence in the log; raise the maximum message size of the dead letter stream.',
  ),
  DISCONNECTED: outage(
    'The connection to NATS was lost; a message being published may be stored all the same.',
    'Nothing: it is tried again until the server is back. Message ids keep it from being stored twice.',
  ),
  DUPLICATE_RECORD: never(
    'Two records of an all-or-none message are the same record to Salesforce, which refuses that.',
    'Merge them, or turn allOrNone off.',
  ),
  DURABLE_CONFLICT: never(
    'Two nodes read one durable with different settings: each would take the messages of the other.',
    'Make the settings equal, or give one of them another durable name.',
  ),
  DURABLE_NOT_UPDATABLE: retried(
    'The durable consumer exists with a setting that cannot be changed.',
    'Set it back as the message says, or choose another durable name.',
  ),
  ENDED_PROCESS: never(
    'The process ended five times in a row while this message was alone in the flow.',
    'See in the log what ended Node-RED (a function that throws outside of its call, memory), mend the flow, then send the message again from the dead letter.',
  ),
  ERROR: retried(
    'An error without a code, thrown by a node of the flow or by the system.',
    'Read the message and the log.',
  ),
  EVENT_TOO_LARGE: never(
    'A platform event is larger than Salesforce takes.',
    'Send less in it, or a reference to the data.',
  ),
  FIELD_VALUE: never(
    'A value does not fit the type of its field.',
    'Correct the value or the template that makes it.',
  ),
  HISTORY_THREAD: retried(
    'The thread in which a large history is read and published ended, or got no connection to NATS of its own.',
    'Nothing for once: the sync goes on from its last position. If it stays, the message says what is missing.',
  ),
  HOST_UNKNOWN: outage('The host name of the NATS server is unknown.', 'Check the name and the DNS.'),
  'HTTP_<number>': depends(
    'Salesforce, or something in between, answered with this HTTP status and no error of its own. 5xx is retried.',
    'Check the login URL, proxies, and status.salesforce.com.',
  ),
  INBOX_IN_STREAM: never(
    'The inbox prefix is inside the subjects of a stream, which would store every answer as a message.',
    'Choose another inbox prefix in the jetstream-server node, and grant the user its subscription.',
  ),
  INTERNAL: never(
    'An error inside this pack: it does not know whether a repetition is safe.',
    'Read the log, and report it with the message.',
  ),
  INVALID_ACCESS_TOKEN: retried(
    'The login answered with an access token that no header can carry.',
    'Check the login URL and any proxy before it.',
  ),
  INVALID_ACTION: never(
    'msg.ack of jetstream-ack holds no action.',
    'Set it to ack, nak, term or progress, or to an object with action and delay.',
  ),
  INVALID_API_BUDGET: never(
    'The API budget is no percentage between 1 and 100.',
    'Correct it in the sfdc-org.',
  ),
  INVALID_API_VERSION: never('The API version of the sfdc-org is none.', 'Write for example 65.0.'),
  INVALID_BUCKET: never('The name of a KV bucket is none.', 'Use letters, digits, - and _ only.'),
  INVALID_CREDENTIALS: outage(
    'Something is missing in the login of the sfdc-org, or malformed.',
    'Enter what the message names, or mend the credentials file; it is read anew at each login.',
  ),
  INVALID_DECLARATION: never(
    'The declaration of an API does not fit what the API answers, or is none.',
    'Mend the declaration; the message names the place.',
  ),
  INVALID_DURABLE: never(
    'The durable name is empty or holds characters that NATS refuses.',
    'Give a name without blanks, dots, slashes, * or >.',
  ),
  INVALID_DURATION: never('A setting is not a duration.', 'Write for example 250ms, 10s, 1m30s, 1h or 2d.'),
  INVALID_ENDPOINT: never(
    'The Pub/Sub endpoint is none, or would send the token in plain text.',
    'Write host:port, for example api.pubsub.salesforce.com:7443.',
  ),
  INVALID_EXTERNAL_ID_FIELD: never(
    'Upsert has no external id field.',
    'Set its API name in the node or in msg.externalIdField.',
  ),
  INVALID_FIELDS: never('get does not say which fields to read.', 'Set them in the node or in msg.fields.'),
  INVALID_HEADER: never(
    'A header has a name or a value that NATS cannot carry.',
    'Use letters, digits and dashes in names, no line breaks in values.',
  ),
  INVALID_NUMBER: never(
    'A setting is no number, or too small.',
    'Correct the setting that the message names.',
  ),
  INVALID_INSTANCE_URL: outage(
    'The answer to a login names an address of the org that is none.',
    'Look at what stands between Node-RED and the org; the login is tried again.',
  ),
  INVALID_OPERATION: never(
    'The operation of sfdc-composite is unknown.',
    'Use one of those that the message lists, in the node or in msg.operation.',
  ),
  INVALID_PAYLOAD: never(
    'A record of the payload is not an object of field values, or no tree; or a payload can not be written as JSON.',
    'Mend what the message names.',
  ),
  INVALID_RECORD: never(
    'A record handed to api-sync-out lacks what a record needs; nothing of the message was published.',
    'Send collection_id, upstream_id and data, as the help of the node shows.',
  ),
  INVALID_REFERENCE_ID: never(
    'A reference id of a tree does not begin with a letter or digit, or stands twice.',
    'Make it valid and unique.',
  ),
  INVALID_SETTING: never(
    'A setting is out of its limits, or none of its choices.',
    'Correct the setting that the message names.',
  ),
  INVALID_SIZE: never(
    'A setting is not a size.',
    'Write for example 1048576, 512MiB or 2GiB, or -1 for no limit.',
  ),
  INVALID_SOBJECT: never(
    'The sObject is no API name.',
    'Set it in the node or in msg.sobject, for example Contact or Order__c.',
  ),
  INVALID_SOURCE: never('A setting of the api-source is wrong.', 'Correct what the message names.'),
  INVALID_STREAM_NAME: never('The stream name is none.', 'Use a name without blanks, dots, slashes, * or >.'),
  INVALID_SUBJECT: never('A subject is none.', 'Join tokens by dots, for example crm.contacts.upsert.'),
  INVALID_TEMPLATE: never(
    'A template holds a {{…}} that is not a path, or more than 1,000 of them.',
    'Write for example {{payload.name}} or {{payload.items[0].id}}.',
  ),
  INVALID_TIME: never('The start time is none.', 'Write for example 2026-01-31T12:00:00Z.'),
  INVALID_TOPIC: never(
    'The topic of a Salesforce event node is none.',
    'Write for example /event/OrderStatus__e or /data/ContactChangeEvent.',
  ),
  'JETSTREAM_<number>': retried(
    'The JetStream API refused a request; the number is its err_code.',
    'Read the description in the message; nats-server lists the codes in server/errors.json.',
  ),
  JETSTREAM_UNAVAILABLE: outage(
    'JetStream is not enabled for this account or domain.',
    'Enable it on the nats-server, or check the domain.',
  ),
  JOB_ABORTED: never(
    'Somebody aborted the bulk job that a sync was reading.',
    'Nothing: a new job begins, or the object is read by queries.',
  ),
  JOB_FAILED: never(
    'The bulk job of a sync failed in the org.',
    'Nothing: the object is read by queries instead. The log has the reason.',
  ),
  LEASED: retried('Another instance runs this sync.', 'Nothing: this one takes over when the other stops.'),
  LEASE_LOST: retried(
    'The lease could not be renewed in time, or another instance has taken over.',
    'Nothing: the sync goes on in one of the instances. If it repeats, lengthen the lease.',
  ),
  LIMIT_EXCEEDED: outage(
    "The org's limit for publishing events is spent.",
    'See Setup → Company Information; it is tried again with growing pauses.',
  ),
  MASS_LOSS: never(
    'Most records of a collection are gone from the API at once, which a lost permission looks like, too: none of them is published as deleted.',
    'Give the permission back, or choose “Read everything again” in the operations tab (or send the command "resync") if the records were really deleted.',
  ),
  MAX_DELIVERIES: never(
    'The message was delivered as often as it may be, without an end of its processing. Only where what was tried can not be kept in a bucket.',
    'See why the flow does not finish it, then send it again from the dead letter. Give the user the rights to the bucket.',
  ),
  MESSAGE_TOO_LARGE: never(
    'A message is larger than its stream or the server takes.',
    'Send less, or raise the maximum message size or max_payload.',
  ),
  NEWER_VERSION: never(
    'The settings of a node were saved by a newer version of this pack, so what they mean is not known.',
    'Update the pack, or set the node up anew.',
  ),
  NODE_CLOSED: stopped(
    'A node was stopped by a deploy while it held the message.',
    'Nothing: the message comes again, and this delivery does not count as a try.',
  ),
  NOT_A_PULL_CONSUMER: retried('The durable is a push consumer.', 'Choose another durable name.'),
  NOT_SYNCABLE: never(
    'An object of the org cannot be queried, or has no time of change.',
    'Take it off the collections.',
  ),
  NOT_SENT_ON: never(
    'What was asked of the node is done, but the runtime could not send the message on, which cannot be copied.',
    'Look for what a function node before it has put on the message: a proxy, a getter, thousands of levels.',
  ),
  NOT_WIRED: unwired(
    'No enabled node is wired to the node that reads, or a node of the flow sent the message only to nodes that are disabled or do not run.',
    'Wire it; until then messages stay where they are, and no delivery counts as a try.',
  ),
  NO_DEAD_LETTER_STREAM: retried(
    'No stream takes the dead letter subject, so what is given up stays unacknowledged.',
    'Name a dead letter stream in the node, which makes it, or give the subject to a stream.',
  ),
  NO_EVENTS: retried(
    'There are no change events for a collection just now, so it is polled.',
    'Select the object for Change Data Capture, or give the user the right; the message has the reason.',
  ),
  NO_FLOW_SOURCE: never(
    'A message to api-sync-out is no command, and none of its sources takes records from a flow.',
    'Send a command in msg.topic, or add an api-source with the provider "flow".',
  ),
  NO_CREDENTIALS: depends(
    'A config node has no secrets: nobody has entered them, or the flow was imported, which brings none along.',
    'Enter what the message names in the jetstream-server, sfdc-org or api-source node.',
  ),
  NO_ENVIRONMENT: depends(
    'A setting is taken from an environment variable that is not set.',
    'Set the variable that the message names where Node-RED starts, or write the value itself.',
  ),
  NO_ORG: never(
    'No sfdc-org is chosen, or its settings are wrong.',
    'Choose one; its own error is in the log.',
  ),
  NO_PAYLOAD: never('A message to be published has no payload.', 'Set msg.payload; null is sent as null.'),
  NO_PUBACK: retried(
    'What answered a publish is no stream, so the message counts as not stored.',
    'Give the subject to a stream, and let nobody else answer on it.',
  ),
  NOT_SENDABLE: never(
    'A record holds what JSON has no word for (NaN, an invalid date, a Map), an id that is no exact number, or what can not be read.',
    'Correct the field that the message names.',
  ),
  NOT_SENT: retried(
    'The node was stopped (a deploy) while the message waited to be published, so it is not stored.',
    'Send it again: nothing else does.',
  ),
  NO_SERVER: depends(
    'No jetstream-server is chosen, or it has no address.',
    'Choose one, and enter nats://host:4222 in it.',
  ),
  NO_SOURCE: never('The api-source chosen is not there, or its settings are wrong.', 'Choose or correct it.'),
  NO_STREAM: retried(
    'No stream takes the subject, or the stream is not there.',
    'Create it, add the subject to a stream, or let the node provision it.',
  ),
  NO_SUCH_ACTION: never(
    'The operations tab asked for something of a node that is not deployed (any more), or does not know it.',
    'Look again.',
  ),
  NO_SUCH_COLLECTION: never(
    'A command names a collection that no sync of the node has.',
    'Correct the name, or add the collection to an api-source.',
  ),
  NO_SUCH_OBJECT: never(
    'The org has no such object that the user may see.',
    "Check the collection and the user's permissions.",
  ),
  ORG_FAILED_REPEATEDLY: retried(
    'The org answers, but failed several times on just this message.',
    'Look at the record and the triggers of its object; the message is tried again later.',
  ),
  ORG_UNREACHABLE: outage(
    'A request to the org was lost on the way.',
    'Nothing: it is tried again. If it stays, check network and proxy.',
  ),
  PERMISSION_DENIED: retried(
    'The NATS user lacks a right.',
    'Grant it; docs/nats-rights.md has a table of what each node needs.',
  ),
  POSITION_UNREADABLE: retried(
    'The stored replay id cannot be read, so no events are read either.',
    'Bring the context store or the KV bucket back; it is tried again.',
  ),
  PROCESSING_LIMIT: retried(
    'The flow did not finish the message within the processing limit.',
    'Look at the node that the message names, or raise the limit.',
  ),
  PUBLISH_FAILED: retried('A publish failed for an unforeseen reason.', 'Read the message.'),
  PULL_REFUSED: retried(
    'The server refuses to deliver to the consumer.',
    'Read the message; the node tries again.',
  ),
  QUEUE_FULL: retried(
    'As many messages, or bytes, as jetstream-out may keep waiting wait to be published already.',
    'Send it again later; see why the server is slow or away, or raise the limit of the queue.',
  ),
  REFERENCE_IN_TEXT: never(
    'A record holds the text "@{", which Salesforce takes for a reference in calls of this size.',
    'Send fewer records in an all-or-none message, or remove the text.',
  ),
  REFUSED: depends(
    'A jetstream-ack node refused the message: nak is retried, term goes to the dead letter.',
    'See the flow for why.',
  ),
  REPLAYED_ELSEWHERE: retried(
    'Another Node-RED is replaying or discarding dead letters of the same node.',
    'Wait until it has finished, then look again at what is left.',
  ),
  REPLAY_ID_LOST: retried(
    'The org does not know the position to go on from.',
    'Nothing: reading goes on with the earliest event that the org has; see REPLAY_POSITION_LOST.',
  ),
  REPLAY_POSITION_LOST: never(
    'Events between the stored position and the earliest one of the org may be lost to this node.',
    'Read the records again that may have changed in the gap, which the details name.',
  ),
  REQUEST_FAILED: retried('A request to JetStream failed for an unforeseen reason.', 'Read the message.'),
  REQUEST_TOO_LARGE: never(
    'A record, or what has to be written together, is larger than the 50 MB of a request to Salesforce, or than what stands before it takes.',
    'Send less in one message; files go better in their own way.',
  ),
  ROWS_FAILED: depends(
    'Rows were refused, and Salesforce gave no status code. Retried only if nothing was written and the reason passes.',
    'Correct the data, or wire output 2 to handle such records.',
  ),
  SECRET_NEEDED: never(
    'A form asks with another address than the one that is deployed, and brings no secret of its own.',
    'Enter the secret again, or deploy first.',
  ),
  SERVER_TOO_OLD: depends(
    'The nats-server is older than what a setting needs.',
    'Update it, or do without as the message says.',
  ),
  SHARING_IMPOSSIBLE: retried(
    'The stream deletes what is acknowledged, so that "sharing: exclusive" or "partitioned" could not keep the order; or a durable that is split is to start with the last message of each subject.',
    'Use "Instances: shared", or a stream with retention limits, as the message says.',
  ),
  STORE_FULL: outage(
    'The disk of the nats-server, or what the server or the account may store, is full.',
    'Free space or raise the limit: it goes on by itself then.',
  ),
  STREAM_CONFLICT: never(
    'Two nodes provision one stream with settings that contradict each other.',
    'Make them equal, or let one node alone provision the stream.',
  ),
  STREAM_ENDED: retried(
    'The org ended the publish stream before it answered.',
    'Nothing: it is tried again.',
  ),
  STREAM_FULL: retried(
    'The stream has reached a limit and discards new messages.',
    'Raise its limits, or let it discard old messages.',
  ),
  STREAM_NOT_UPDATABLE: retried(
    'The stream exists with a setting that cannot be changed.',
    'Set it back as the message says, or make a new stream.',
  ),
  STREAM_UNREADABLE: retried(
    'The server refuses to read the stream.',
    'Read the message; it is tried again.',
  ),
  TEMPLATE_MISSING_PATH: never(
    'A template asks for something that the message does not have.',
    'Send it, or correct the template.',
  ),
  TEMPLATE_VALUE: never(
    'A template names a value that has no text, or a number that is to tell things apart and is not exact.',
    'Name a part of it, let the template stand alone where it keeps its type, or hand the number over as text.',
  ),
  TIMEOUT: outage(
    'NATS did not answer in time; what was sent may be stored all the same.',
    'Nothing for once: message ids keep it from being stored twice. If it stays, check load, leader and rights to the inbox.',
  ),
  TLS: outage(
    'TLS with the NATS server failed.',
    'Check CA, name and client certificate of its TLS configuration, or whether the server speaks TLS.',
  ),
  TOO_MANY_CONNECTIONS: outage(
    'The NATS server, or the account on it, takes no more connections.',
    'Raise its limit, or let fewer clients connect.',
  ),
  TOO_MANY_RECORDS: never(
    'An all-or-none message has more records than Salesforce writes in one call.',
    'Send fewer in one message, or turn allOrNone off.',
  ),
  TOO_MANY_TYPES: never(
    'An all-or-none message changes its type too often for one call.',
    'Sort the records by type.',
  ),
  SCHEMA_UNREADABLE: retried(
    'The schema of an event cannot be had, so nothing behind that event is read either.',
    'Give the user the right to the event; it is tried again. With a dead letter set, the event goes there instead.',
  ),
  TOPIC_DENIED: retried(
    'The user has no right to the topic.',
    'Check its name; give the user read to subscribe, create to publish.',
  ),
  TOPIC_NOT_FOUND: retried('The org has no such topic that this user may use.', 'Check its name.'),
  TREE_TOO_DEEP: never(
    'A tree has more levels than Salesforce takes.',
    'Send the lower levels on their own.',
  ),
  TREE_TOO_LARGE: never(
    'A tree has more records or types than one request takes.',
    'Send fewer in one message.',
  ),
  TURN_LOST: stopped(
    'The instance that reads an exclusive or partitioned durable lost its turn (it hung, or was cut off from the server) before it had sent what it was to write.',
    'Nothing: the message comes again, to the instance whose turn it is, and this delivery does not count as a try.',
  ),
  UNKNOWN_FIELD: never(
    'A platform event has no such field.',
    'Correct the name, or add the field to the event.',
  ),
  UNREADABLE_ANSWER: outage(
    'The org answered something that does not fit the question.',
    'Look for a proxy in between; the call is handled as one whose answer was lost.',
  ),
  UNREADABLE_EVENT: never(
    'An event cannot be decoded.',
    'Read the message, and report it; the event is handled as one that failed for good.',
  ),
  WHICH_SYNC: never(
    'Several sources of the api-sync-out take records from a flow.',
    'Say which one is meant in msg.sync_id.',
  ),
  WRONG_LAST_SEQUENCE: retried(
    'Another publisher was faster on this subject.',
    'Nothing: the sync looks at the newer message and decides anew.',
  ),
  WRONG_NODE: never('A form asks for a node of another type.', 'Reload the editor.'),
} as const satisfies Record<string, FailureRow>;

/** Why a failure says nothing about the message: it comes again, and that is no try. */
export type InnocentCause = 'stopped' | 'unwired' | 'outage';

export interface FailureRow {
  /** `depends`: the error itself says. */
  retryable: boolean | 'depends';
  meaning: string;
  action: string;
  innocent?: InnocentCause;
}

type Numbered<C> = C extends `${infer Head}<number>` ? `${Head}${number}` : C;

export type FailureCode = Numbered<keyof typeof FAILURE_CODES>;

function retried(meaning: string, action: string): FailureRow {
  return { retryable: true, meaning, action };
}

function stopped(meaning: string, action: string): FailureRow {
  return { ...retried(meaning, action), innocent: 'stopped' };
}

function unwired(meaning: string, action: string): FailureRow {
  return { ...retried(meaning, action), innocent: 'unwired' };
}

function outage(meaning: string, action: string): FailureRow {
  return { ...retried(meaning, action), innocent: 'outage' };
}

function never(meaning: string, action: string): FailureRow {
  return { retryable: false, meaning, action };
}

function depends(meaning: string, action: string): FailureRow {
  return { retryable: 'depends', meaning, action };
}
