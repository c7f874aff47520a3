/** What exported flows depend on: the properties of each node, with the values a new one has. */
export interface Contract {
  config?: true;
  properties: Record<string, unknown>;
  secrets?: string[];
  inputs?: number;
  outputs?: number;
}

/** Of a stream whose settings nobody has touched. */
export const streamConfig = {
  subjects: [],
  maxAge: '',
  maxBytes: '',
  maxMsgs: '',
  maxMsgsPerSubject: '',
  maxMsgSize: '',
  retention: 'limits',
  discard: 'old',
  storage: 'file',
  replicas: 1,
  duplicateWindow: '',
  denyDelete: false,
  denyPurge: false,
  allowRollup: false,
  compression: 'none',
};

export const contract: Record<string, Contract> = {
  'jetstream-server': {
    config: true,
    properties: {
      name: '',
      servers: 'nats://localhost:4222',
      auth: 'none',
      user: '',
      credentialsPath: '',
      tls: '',
      tlsFirst: false,
      inboxPrefix: '',
      domain: '',
    },
    secrets: ['password', 'token', 'nkeySeed', 'jwt', 'creds'],
  },
  'jetstream-in': {
    inputs: 0,
    outputs: 1,
    properties: {
      name: '',
      server: '',
      stream: '',
      provision: false,
      narrow: false,
      streamConfig,
      subject: '',
      durable: '',
      deliver: 'all',
      startSequence: '',
      startTime: '',
      ackWait: '120s',
      maxDeliver: 5,
      backoff: '10s, 30s, 1m, 5m',
      maxAckPending: 1000,
      sharing: 'shared',
      partitions: 8,
      prefetch: 1000,
      maxBytesInFlight: '64MiB',
      ack: 'flow',
      processingLimit: '10m',
      deadLetter: '',
      deadLetterStream: '',
      format: 'auto',
      bigNumbers: 'text',
      batchSize: 1,
      batchWait: '250ms',
    },
  },
  'jetstream-out': {
    inputs: 1,
    outputs: 1,
    properties: {
      name: '',
      server: '',
      subject: '',
      escapeTokens: false,
      msgId: '',
      headers: [],
      window: 256,
      queue: 10000,
      queueBytes: '64MiB',
      whenFull: 'hold',
    },
  },
  'jetstream-ack': {
    inputs: 1,
    outputs: 1,
    properties: { name: '', action: 'ack', delay: '' },
  },
  'sfdc-org': {
    config: true,
    properties: {
      name: '',
      auth: 'client-credentials',
      loginUrl: '',
      username: '',
      apiVersion: '65.0',
      pubsubEndpoint: 'api.pubsub.salesforce.com:7443',
      apiBudget: 80,
      credentialsPath: '',
    },
    secrets: ['clientId', 'clientSecret', 'password', 'securityToken', 'refreshToken', 'privateKey'],
  },
  'sfdc-composite': {
    inputs: 1,
    outputs: 2,
    properties: {
      name: '',
      org: '',
      operation: 'upsert',
      sobject: '',
      externalIdField: '',
      allOrNone: false,
      fields: '',
      payload: { mode: 'event' },
      allowDuplicateSave: false,
      autoAssign: true,
      batch: { records: 1000, maxRequests: 4, linger: '0ms', coalesce: false, bulkFrom: 20000 },
      onOutage: 'hold',
    },
  },
  'sfdc-platform-event': {
    inputs: 1,
    outputs: 1,
    properties: {
      name: '',
      org: '',
      topic: '',
      payload: { mode: 'event' },
      maxRequests: 4,
      onOutage: 'hold',
    },
  },
  'sfdc-event-in': {
    inputs: 0,
    outputs: 1,
    properties: {
      name: '',
      org: '',
      topic: '',
      replay: 'stored',
      ack: 'flow',
      deadLetter: '',
      maxDeliver: 5,
      checkpoint: 'context',
      server: '',
      bucket: 'salesforce-replay',
    },
  },
  'api-source': {
    config: true,
    properties: {
      name: '',
      provider: 'salesforce',
      syncId: '',
      collections: [],
      associations: '',
      org: '',
      mode: 'cdc',
      pollInterval: '1m',
      lookback: '10m',
      apiBudget: 50,
      reconcile: '',
      baseUrl: '',
      user: '',
      definition: '',
    },
    secrets: ['token', 'secret'],
  },
  'api-sync-out': {
    inputs: 1,
    outputs: 1,
    properties: {
      name: '',
      server: '',
      source: '',
      subjectPrefix: 'sequin-records',
      stream: 'SEQUIN-RECORDS',
      provision: true,
      narrow: false,
      streamConfig: { ...streamConfig, maxMsgsPerSubject: 1 },
      start: 'beginning',
      events: false,
      checkpoint: 'kv',
      bucket: 'api-sync',
      lease: '15s',
    },
  },
};

/** Each has the version of its type's settings too. */
for (const { properties } of Object.values(contract)) properties['version'] = 1;

export const types = Object.keys(contract);
export const flowTypes = types.filter((type) => !contract[type]?.config);
