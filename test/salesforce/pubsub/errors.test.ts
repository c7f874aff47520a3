import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CallLost, RpcError, troubleOf } from '../../../nodes/salesforce/pubsub/errors';
import { OrgOutage } from '../../../nodes/salesforce/org/outage';

const PREFIX = 'sfdc.platform.eventbus.grpc.';
const trouble = (status: string, reason?: string, message = 'the words') =>
  troubleOf(
    new RpcError(status, message, reason === undefined ? undefined : PREFIX + reason),
    'topic /event/X__e',
    'host:7443',
  );
const outage = (status: string, reason?: string, message?: string) => {
  const found = trouble(status, reason, message);
  assert.ok(found.kind === 'outage', `${found.kind}`);
  return found.outage;
};

test('a reason is told without its common beginning', () => {
  assert.equal(new RpcError('X', 'm', `${PREFIX}topic.not.found`).reason, 'topic.not.found');
  assert.equal(new RpcError('X', 'm', 'topic.not.found').reason, 'topic.not.found');
  assert.equal(new RpcError('X', 'm', undefined).reason, '');
});

describe('a session that is not taken any more', () => {
  for (const [status, reason] of [
    ['UNAUTHENTICATED', undefined],
    ['UNAUTHENTICATED', 'service.auth.error'],
    ['INTERNAL', 'service.auth.headers.invalid'],
    ['PERMISSION_DENIED', 'service.auth.error'],
  ] as const) {
    test(`${status} ${reason ?? ''}`, () => assert.deepEqual(trouble(status, reason), { kind: 'session' }));
  }
});

describe('a position that the org does not know', () => {
  for (const reason of [
    'subscription.fetch.replayid.corrupted',
    'subscription.fetch.replayid.validation.failed',
    'subscription.fetch.replay_id.too.old',
  ]) {
    test(reason, () => {
      const found = trouble('INVALID_ARGUMENT', reason);
      assert.ok(found.kind === 'position');
      assert.deepEqual([found.error.code, found.error.retryable], ['REPLAY_ID_LOST', true]);
      assert.equal(
        found.error.message,
        `The org does not know the position to go on from in topic /event/X__e (INVALID_ARGUMENT ${reason}: the words)`,
      );
    });
  }
});

describe('a limit that is spent', () => {
  for (const [status, reason] of [
    ['RESOURCE_EXHAUSTED', undefined],
    ['FAILED_PRECONDITION', 'subscription.limit.exceeded'],
    ['PERMISSION_DENIED', 'concurrent.client.limit.exceeded'],
  ] as const) {
    test(`${status} ${reason ?? ''} is waited out`, () => {
      const found = outage(status, reason);
      assert.deepEqual([found.reason, found.code, found.sent], ['limit', reason ?? status, false]);
      assert.match(found.message, /limit for events is spent \(.*: the words\).*Setup → Company Information/);
    });
  }
});

describe('a topic that is not there, or not for this user', () => {
  for (const [status, reason, code] of [
    ['NOT_FOUND', undefined, 'TOPIC_NOT_FOUND'],
    ['INVALID_ARGUMENT', 'topic.not.found', 'TOPIC_NOT_FOUND'],
    ['PERMISSION_DENIED', undefined, 'TOPIC_DENIED'],
    ['UNKNOWN', 'topic.meta.permission', 'TOPIC_DENIED'],
  ] as const) {
    test(`${status} ${reason ?? ''} is ${code}, worth another try as it may be mended`, () => {
      const found = trouble(status, reason);
      assert.ok(found.kind === 'topic');
      assert.deepEqual([found.error.code, found.error.retryable], [code, true]);
      assert.match(found.error.message, /The org has no topic \/event\/X__e .*the words\); .*name/);
    });
  }
});

describe('what passes is waited out, whatever status comes with it', () => {
  for (const reason of [
    'service.protection.overload',
    'service.protection.client.count.rejected',
    'service.protection.connection.count.rejected',
    'service.unavailable',
    'topic.api.unavailable',
    'schema.api.unavailable',
    'publish.stream.sweeper.timeout',
  ]) {
    for (const status of [
      'UNAVAILABLE',
      'INVALID_ARGUMENT',
      'FAILED_PRECONDITION',
      'PERMISSION_DENIED',
      'NOT_FOUND',
      'INTERNAL',
    ]) {
      test(`${status} ${reason}`, () => {
        const found = outage(status, reason);
        assert.deepEqual([found.reason, found.code], ['unreachable', reason]);
        assert.match(
          found.message,
          /^The Pub\/Sub API at host:7443 is not available \(.*status\.salesforce\.com$/,
        );
      });
    }
  }
});

describe('a call that is refused as it stands', () => {
  for (const status of ['INVALID_ARGUMENT', 'OUT_OF_RANGE']) {
    test(status, () => {
      const found = trouble(status);
      assert.ok(found.kind === 'refused');
      assert.deepEqual([found.error.code, found.error.retryable], [status, false]);
      assert.equal(
        found.error.message,
        `The org refuses a call for topic /event/X__e (${status}: the words)`,
      );
    });
  }

  test('has the org’s own code where there is one', () => {
    const found = trouble('INVALID_ARGUMENT', 'publish.event.count.invalid');
    assert.ok(found.kind === 'refused');
    assert.equal(found.error.code, 'PUBLISH_EVENT_COUNT_INVALID');
  });
});

describe('a status that blames nobody, or is not the API’s own', () => {
  for (const status of ['FAILED_PRECONDITION', 'UNIMPLEMENTED', 'ALREADY_EXISTS'])
    test(`${status} is waited out`, () => assert.ok(outage(status) instanceof CallLost));
  for (const [status, message] of [
    ['PERMISSION_DENIED', 'Received HTTP status code 403'],
    ['UNIMPLEMENTED', 'Received HTTP status code 404'],
    ['UNKNOWN', 'Received HTTP status code 302'],
    ['UNAUTHENTICATED', 'Received HTTP status code 401'],
  ] as const)
    test(`${status}: ${message} is that of a gateway or portal on the way`, () =>
      assert.equal(outage(status, undefined, message).reason, 'unreachable'));
});

describe('an org that can’t be reached', () => {
  test('was not asked (UNAVAILABLE), or nobody knows (anything else)', () => {
    const away = outage('UNAVAILABLE');
    assert.ok(away instanceof OrgOutage && !(away instanceof CallLost));
    assert.equal(away.sent, true);
    for (const status of ['INTERNAL', 'UNKNOWN', 'DEADLINE_EXCEEDED', 'CANCELLED', 'ABORTED', 'DATA_LOSS'])
      assert.ok(outage(status) instanceof CallLost, status);
  });

  for (const [message, words] of [
    ['Name resolution failed for target dns:x', /^The host of host:7443 is unknown/],
    ['getaddrinfo ENOTFOUND x', /^The host of host:7443 is unknown/],
    ['getaddrinfo EAI_AGAIN x', /^The host of host:7443 is unknown/],
    ['connect ECONNREFUSED 127.0.0.1:1', /^host:7443 refuses connections/],
    ['self-signed certificate', /^The TLS certificate of host:7443 is refused \(self-signed/],
    ['CERT_HAS_EXPIRED', /^The TLS certificate of host:7443 is refused/],
    ['ssl3_get_record:wrong version number', /^host:7443 does not speak TLS/],
    ['write EPROTO', /^host:7443 does not speak TLS/],
    ['something else', /^The Pub\/Sub API at host:7443 is not available \(UNAVAILABLE: something else\)/],
  ] as const) {
    test(`"${message}" is said in words`, () =>
      assert.match(outage('UNAVAILABLE', undefined, message).message, words));
  }

  test('where to add a certificate authority depends on what gRPC trusts', () => {
    const variable = 'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH';
    const before = process.env[variable];
    delete process.env[variable];
    assert.match(outage('UNAVAILABLE', '', 'certificate').message, /proxy with NODE_EXTRA_CA_CERTS$/);
    process.env[variable] = '/roots.pem';
    assert.match(outage('UNAVAILABLE', '', 'certificate').message, /to \/roots\.pem \(GRPC_DEFAULT/);
    if (before === undefined) delete process.env[variable];
    else process.env[variable] = before;
  });
});
