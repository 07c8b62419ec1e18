import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applyChange } from '../../../src/tools/schema/apply-change.ts';
import { planChange } from '../../../src/tools/schema/plan-change.ts';
import { openPlan, sealPlan } from '../../../src/tools/schema/plan-token.ts';
import type { Call } from '../../../src/tools/tool.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { openTestPlace, type TestPlace } from '../../tables/test-place.ts';

let home: TestPlace;
let proxy: TcpProxy;

beforeAll(async () => {
  home = await openTestPlace({
    port: async port => {
      proxy = await startTcpProxy(port);
      return proxy.port;
    },
  });
});
afterAll(async () => {
  await home?.remove();
  await proxy?.close();
});

const ORDERS = { create_table: { name: 'orders', columns: [{ name: 'total', type: 'numeric', default: '4111' }] } };
const comment = (text: string) => ({ comment: { table: 'orders', text } });
const plan = (...changes: object[]) => home.run(planChange, { changes });
const apply = ({ plan: token }: Record<string, unknown>, caller?: object) =>
  home.run(applyChange, { plan: token }, caller);

test('when the answer to COMMIT is lost, applying again tells what became of it', async () => {
  const planned = await plan(ORDERS);
  // The first COMMIT of its connection: later ones travel as a prepared statement, without their text.
  proxy.cutAfterAnswerTo('commit');
  await expect(apply(planned)).rejects.toMatchObject({ code: 'outcome-unknown', nextTool: 'apply_change' });
  proxy.cutAfterAnswerTo('never said');
  await expect(apply(planned)).rejects.toMatchObject({
    code: 'plan/used',
    message: expect.stringMatching(/version 1/),
  });
});

describe('plan_change and apply_change', () => {
  test('answer what their output schemas promise', async () => {
    const planned = await plan({ create_table: { name: 'bills', columns: [] } });
    expect(planChange.output.parse(planned)).toMatchObject({
      statements: [expect.stringMatching(/^create table/), expect.stringMatching(/^create trigger/)],
      rows_affected: 0,
      warnings: [],
      expires_at: new Date(home.clock.now + 600_000).toISOString(),
    });
    expect(planned).not.toHaveProperty('restorable');
    const applied = await apply(planned);
    expect(applyChange.output.parse(applied)).toEqual({ version: 2, done: ['Created the table `bills`.'] });
  });

  test('list what can be brought back', async () => {
    await apply(await plan({ drop_column: { table: 'orders', column: 'total' } }));
    const { restorable } = await plan(comment('x'));
    expect(restorable).toEqual([expect.objectContaining({ table: 'orders', column: 'total', restore_version: 2 })]);
    await apply(await plan({ restore_version: { version: 2 } }));
  });

  test('leave kinds and names for the audit, and no value', () => {
    const input = planChange.input.parse({ changes: [ORDERS, comment('secret')] });
    expect(planChange.summarize(input, home.means)).toEqual({ changes: ['create_table orders', 'comment orders'] });
    expect(applyChange.summarize({ plan: 'secret' }, home.means)).toEqual({});
  });

  test('write who it was into the history', async () => {
    await apply(await plan(comment('by Ada')));
    const { rows } = await home.design('select author from $s._versions order by version desc limit 1');
    expect(rows).toEqual([['Ada (00000000-0000-4000-8000-000000000042)']]);
  });
});

describe('the token', () => {
  test('is short enough to be copied by a model', async () => {
    expect(String((await plan(comment('x'))).plan).length).toBeLessThan(150);
  });

  test.each([
    ['another person', { objectId: '00000000-0000-4000-8000-000000000043' }],
    ['the same object of another tenant', { tenantId: '122fb574-0000-4000-8000-000000000002' }],
  ])('is worth nothing to %s', async (_, person) => {
    const planned = await plan(comment('mine'));
    const { caller } = callAt('axe');
    await expect(apply(planned, { person: { ...caller.person, ...person } })).rejects.toMatchObject({
      code: 'plan/invalid',
    });
    await expect(apply(planned)).resolves.toBeDefined();
  });

  test.each([
    ['entity', { entity: 'studio' }],
    ['environment', { environment: 'dev' as const }],
    ['customer', { customer: 'other' }],
  ])('is worth nothing in another %s', (_, elsewhere) => {
    const call = callAt('axe');
    const token = sealPlan(call, 'id');
    expect(openPlan(call, token)).toBe('id');
    const there = { ...call, place: { ...call.place, ...elsewhere } };
    expect(() => openPlan(there, token)).toThrow(expect.objectContaining({ code: 'plan/invalid' }));
  });

  test.each(['', 'x', 'a'.repeat(98), '0190163d-8694-739b-aea5-966c26f8ad91', '\0'])(
    'cannot be made up: %j',
    async token => {
      await expect(apply({ plan: token })).rejects.toMatchObject({ code: 'plan/invalid', nextTool: 'plan_change' });
    },
  );

  test('cannot be altered', async () => {
    const { plan: token } = await plan(comment('x'));
    const altered = `${String(token).slice(0, -1)}${String(token).endsWith('A') ? 'B' : 'A'}`;
    await expect(apply({ plan: altered })).rejects.toMatchObject({ code: 'plan/invalid' });
  });

  test('of another purpose is no plan', async () => {
    const call = callAt('axe');
    const cursor = call.means.keyring.seal('cursor', JSON.stringify([]), { id: 'id' });
    expect(() => openPlan(call, cursor)).toThrow(expect.objectContaining({ code: 'plan/invalid' }));
  });
});

function callAt(entity: string): Call {
  const { place, means } = home;
  const person = {
    tenantId: '122fb574-0000-4000-8000-000000000001',
    objectId: '00000000-0000-4000-8000-000000000042',
    name: 'Ada',
    username: 'ada@axellc.com',
  };
  return { caller: { person }, place: { ...place, entity }, means } as Call;
}
