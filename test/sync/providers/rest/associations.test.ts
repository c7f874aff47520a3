import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { until } from '../../../support/until';
import { apiRig, type ApiRig } from './rig';

const contacts = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ properties: { email: `p${i}@ex.test` } }));

interface Portal extends ApiRig {
  company: string;
  id: (contact: number) => string;
  link: (how: 'associate' | 'dissociate', from: number, to?: number) => void;
  /** The contacts that the stream says the company has. */
  associated: () => Promise<string[]>;
}

/** A company, and contacts that can be associated with it. */
async function portal(t: TestContext, count: number, switches: object = {}): Promise<Portal> {
  const rig = await apiRig(t, 'hubspot', 'companies', { switches: { indexLagMs: 0, ...switches } });
  const { api } = rig;
  const company = String(api.write('companies', [{ properties: { name: 'Acme' } }])[0]?.id);
  const people = api.write('contacts', contacts(count)).map((row) => String(row.id));
  return {
    ...rig,
    company,
    id: (contact) => people[contact] ?? '',
    link: (how, from, to = from + 1) =>
      api.act(
        how,
        'companies',
        people.slice(from, to).map((toId) => ({ id: company, to: 'contacts', toId })),
      ),
    associated: async () => {
      const { associations } = (await rig.table()).get(company)?.data ?? {};
      const { contacts: found } = (associations ?? {}) as { contacts?: { toObjectId: number }[] };
      return (found ?? []).map(({ toObjectId }) => String(toObjectId)).sort();
    },
  };
}

const ASKED = { associations: ['contacts', 'deals'] };

test('a record has all that belongs to it, in one shape whether it is old or has changed', async (t) => {
  const p = await portal(t, 620, { associationsShuffled: true });
  p.link('associate', 0, 620);
  const { live, progress } = p.start(ASKED);
  await live();
  assert.equal((await p.associated()).length, 620);
  const { associations } = (await p.table()).get(p.company)?.data ?? {};
  const { contacts: found } = associations as { contacts: { toObjectId: number }[] };
  const first = found.find(({ toObjectId }) => toObjectId === Number(p.id(0)));
  assert.deepEqual(first, {
    associationTypes: [{ category: 'HUBSPOT_DEFINED', label: null, typeId: 1 }],
    toObjectId: Number(p.id(0)),
  });
  assert.deepEqual((associations as { deals: unknown[] }).deals, []);

  const before = progress().published;
  p.api.write('companies', [{ id: p.company, properties: { city: 'Bonn' } }]);
  await until(() => progress().published > before, { what: 'the change' });
  assert.equal((await p.associated()).length, 620);
  assert.deepEqual((await p.table()).get(p.company)?.data.associations, associations);
});

test('without being asked for there are none, and no call is made for them', async (t) => {
  const p = await portal(t, 3);
  p.link('associate', 0, 3);
  await p.start().live();
  assert.equal((await p.table()).get(p.company)?.data.associations, undefined);
  assert.equal(p.calls('/crm/v4/'), 0);
});

test('an association that changes alone is found when ids are compared', async (t) => {
  const p = await portal(t, 3);
  p.link('associate', 0, 2);
  const { live, progress } = p.start(ASKED, { reconcile: 500 });
  await live();
  assert.deepEqual(await p.associated(), [p.id(0), p.id(1)]);
  p.link('associate', 2);
  p.link('dissociate', 0);
  await until(async () => (await p.associated()).join() === [p.id(1), p.id(2)].join(), {
    timeout: 10_000,
    what: 'the change of associations',
  });
  // What is the same isn't published again.
  const { published } = progress();
  const calls = p.calls('/crm/v4/');
  await until(() => p.calls('/crm/v4/') > calls + 4, { timeout: 10_000, what: 'another comparison' });
  assert.equal(progress().published, published);
});

test('where an association counts as a change of the record it comes as one', async (t) => {
  const p = await portal(t, 3, { associationsTouch: true });
  await p.start(ASKED).live();
  p.link('associate', 1);
  await until(async () => (await p.associated()).join() === p.id(1), { what: 'the association' });
});

test('associations of which the API says that they failed are not taken for none', async (t) => {
  const p = await portal(t, 3);
  p.link('associate', 0, 3);
  const errors = [{ status: 'error', category: 'INTERNAL_ERROR', message: 'Try it later' }];
  p.api.faults.add({
    match: { path: '/crm/v4/associations/companies/contacts' },
    action: { status: 207, body: { status: 'COMPLETE', results: [], numErrors: 1, errors } },
    times: 1,
  });
  const { live, lines, progress } = p.start(ASKED);
  await live();
  assert.equal((await p.associated()).length, 3);
  assert.equal(progress().published, 1);
  assert.match(lines.join('\n'), /207, but not for all: Try it later/);
});

test('a record that could not be read is not taken for a deleted one', async (t) => {
  const p = await portal(t, 3);
  const { live, progress } = p.start();
  await live();
  const errors = [{ status: 'error', category: 'INTERNAL_ERROR', message: 'Try it later' }];
  p.api.faults.add({
    match: { path: '/batch/read' },
    action: { status: 207, body: { status: 'COMPLETE', results: [], numErrors: 1, errors } },
    times: 1,
  });
  const before = progress().published;
  p.api.write('companies', [{ id: p.company, properties: { city: 'Bonn' } }]);
  await p.equal();
  assert.equal(progress().published, before + 1);
});
