import { describe, expect, test } from 'vitest';
import { FrameError, unavailable } from '../../src/errors.ts';
import { createDoor } from '../../src/tools/call-tool.ts';
import { CATALOGUE } from '../../src/tools/catalogue.ts';
import type { Outcome } from '../../src/tools/door.ts';
import { callerOf, entity, fakeMeans, openBench } from './fixture.ts';

const shown = (outcome: Outcome) => (outcome.ok ? outcome.result : outcome.error.toPublic());
const codeOf = (outcome: Outcome) => (outcome.ok ? undefined : outcome.error.code);

describe('a call that works', () => {
  test('a read leaves one record', async () => {
    const { call, means } = openBench();
    expect(await call('read_it')).toEqual({ ok: true, result: { done: true } });
    expect(means.entries).toEqual([
      {
        at: means.clock.now,
        requestId: 'r-1',
        customer: 'axe',
        entity: 'axe',
        environment: 'prod',
        actor: { tenantId: 'tenant', objectId: 'object', name: 'Ai Tanaka', username: 'ai@axe.example' },
        client: 'probe/1',
        tool: 'read_it',
        phase: 'call',
        outcome: 'ok',
        arguments: { table: 't', columns: undefined },
        rows: 3,
        milliseconds: 0,
      },
    ]);
  });

  test('a write is recorded before it begins, and again when it is done', async () => {
    const bench = openBench();
    bench.run = async () => {
      expect(bench.means.entries.map(({ phase, outcome }) => [phase, outcome])).toEqual([['intent', undefined]]);
      bench.means.clock.now += 7;
      return { result: {}, rows: 1 };
    };
    expect((await bench.call('write_it')).ok).toBe(true);
    const [intent, outcome] = bench.means.entries;
    expect(outcome).toMatchObject({ phase: 'outcome', outcome: 'ok', rows: 1, milliseconds: 7 });
    expect([intent?.requestId, intent?.entity]).toEqual([outcome?.requestId, outcome?.entity]);
  });

  test('the two records of a write share an id that no other call has, whatever the sender calls his requests', async () => {
    const { call, means } = openBench();
    await Promise.all([call('write_it'), call('write_it')]);
    expect(new Set(means.entries.map(({ requestId }) => requestId)).size).toBe(1);
    const byCall = Object.values(Object.groupBy(means.entries, ({ callId }) => `${callId}`));
    expect(byCall.map(entries => entries?.map(({ phase }) => phase))).toEqual([
      ['intent', 'outcome'],
      ['intent', 'outcome'],
    ]);
    expect(means.entries[0]?.callId).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('the tool gets its own arguments, the place and the caller', async () => {
    const { call, calls } = openBench();
    await call(
      'read_it',
      { entity: 'b', environment: 'dev', table: 't' },
      callerOf([entity('a', 'prod'), entity('b', 'prod', 'dev')]),
    );
    expect(calls[0]).toMatchObject({ place: { entity: 'b', environment: 'dev' }, requestId: 'r-1' });
  });

  test('the record has the names of what was given, never a value', async () => {
    const { call, means, observations } = openBench();
    const rows = [{ salary: 'a secret', note: 'another secret' }];
    await call('write_it', { table: 't', rows });
    await call('write_it', { table: 't', rows, tabel: 'a secret' });
    await call('write_it', { rows });
    expect(means.entries[0]?.arguments).toEqual({ table: 't', columns: ['salary', 'note'] });
    expect(JSON.stringify([means.entries, observations])).not.toContain('secret');
  });
});

describe('a call that is refused', () => {
  test.each<[string, unknown, string]>([
    ['no object', [1], 'must be an object'],
    ['text', 'table', 'must be an object'],
    ['an unknown argument', { table: 't', tabel: 1 }, 'There is no argument `tabel`'],
    ['a missing one', {}, '`table`'],
    ['a wrong type', { table: 7 }, '`table`'],
    ['a place that the caller has no choice of', { table: 't', entity: 'axe' }, 'There is no argument `entity`'],
    ['an environment where there is one', { table: 't', environment: 'prod' }, 'There is no argument `environment`'],
  ])('%s: args/invalid, in the audit, and the tool does not run', async (_, args, sentence) => {
    const { call, calls, means } = openBench();
    const outcome = await call('write_it', args);
    expect(shown(outcome)).toMatchObject({ code: 'args/invalid', message: expect.stringContaining(sentence) });
    expect(means.entries.map(({ phase, outcome, code }) => [phase, outcome, code])).toEqual([
      ['call', 'refused', 'args/invalid'],
    ]);
    expect(calls).toEqual([]);
  });

  test('a guess is offered for an argument', async () => {
    expect(shown(await openBench().call('read_it', { table: 't', rowz: [] }))).toMatchObject({
      hint: 'Did you mean `rows`?',
    });
  });

  test('an unknown tool and a forbidden one are the same, and no name of a forbidden one is guessed', async () => {
    const { call, means, calls } = openBench();
    const reader = callerOf([entity('axe', 'prod')], new Set(['read_it']));
    const forbidden = await call('write_it', {}, reader);
    const unknown = await call('write_at', {}, reader);
    expect(JSON.stringify(shown(forbidden)).replace('write_it', 'write_at')).toBe(JSON.stringify(shown(unknown)));
    expect(JSON.stringify(shown(unknown))).not.toContain('write_it');
    expect(shown(await call('read_at', {}, reader))).toMatchObject({ hint: 'Did you mean `read_it`?' });
    expect(means.entries.map(({ tool, outcome }) => [tool, outcome])).toEqual([
      ['write_it', 'refused'],
      ['write_at', 'refused'],
      ['read_at', 'refused'],
    ]);
    expect(calls).toEqual([]);
  });

  test.each(['__proto__', 'constructor', 'toString', '', 'x'.repeat(1_000_000), '*'])(
    '%.20s is no tool',
    async name => {
      const { call, means } = openBench();
      expect(codeOf(await call(name))).toBe('args/unknown-tool');
      expect(means.entries[0]?.tool.length).toBeLessThanOrEqual(80);
    },
  );

  test('a place that is not set up yet is a matter of time', async () => {
    const outcome = await openBench(callerOf([entity('unborn', 'prod')])).call('read_it');
    expect(shown(outcome)).toMatchObject({ code: 'unavailable', retryable: true });
  });

  test('who was turned away before a tool was named is recorded as well', async () => {
    const { door, means } = openBench();
    await door.turnedAway('axe', callerOf([]).person, 'access/not-admitted', 'r-9');
    expect(means.entries).toMatchObject([
      { requestId: 'r-9', tool: '-', outcome: 'refused', code: 'access/not-admitted' },
    ]);
  });
});

describe('a tool that fails', () => {
  test('names no way out by a tool that the caller does not have', async () => {
    const bench = openBench(callerOf([entity('axe', 'prod')], new Set(['read_it'])));
    bench.run = () => {
      throw new FrameError('sql/refused', 'This is not a SELECT.', {
        hint: 'This is done with `write_it`.',
        nextTool: 'write_it',
        detail: 'for us',
        retryable: true,
      });
    };
    expect(shown(await bench.call('read_it'))).toEqual({
      code: 'sql/refused',
      message: 'This is not a SELECT.',
      hint: 'This is done with `write_it`. You do not have `write_it`.',
      retryable: true,
    });
    expect(bench.observations).toContainEqual(expect.objectContaining({ detail: 'for us' }));
    const all = openBench();
    all.run = bench.run;
    expect(shown(await all.call('read_it'))).toMatchObject({
      hint: 'This is done with `write_it`.',
      next_tool: 'write_it',
    });
  });

  test.each([
    [new FrameError('row/duplicate', 'There is one.'), 'refused', 'row/duplicate'],
    [new FrameError('outcome-unknown', 'Nobody knows.'), 'unknown', 'outcome-unknown'],
    [unavailable('Later.'), 'error', 'unavailable'],
    [new TypeError('secret detail of a defect'), 'error', 'internal'],
    ['thrown text', 'error', 'internal'],
  ])('%s is recorded as %s', async (thrown, outcome, code) => {
    const bench = openBench();
    bench.run = () => Promise.reject(thrown);
    const answer = await bench.call('write_it');
    expect(codeOf(answer)).toBe(code);
    expect(bench.means.entries[1]).toMatchObject({ phase: 'outcome', outcome, code });
    expect(JSON.stringify([shown(answer), bench.means.entries])).not.toMatch(/secret|thrown text/);
  });

  test('throwing before the first await makes no difference', async () => {
    const bench = openBench();
    bench.run = () => {
      throw new Error('at once');
    };
    expect(codeOf(await bench.call('read_it'))).toBe('internal');
    expect(bench.means.entries).toHaveLength(1);
  });

  test('a caller who is gone is no longer worked for', async () => {
    const bench = openBench();
    const gone = new AbortController();
    bench.run = ({ signal }) => {
      gone.abort();
      return Promise.reject(signal.aborted ? unavailable('Gone.') : new Error('it was not told'));
    };
    const call = bench.door.call(
      callerOf([entity('axe', 'prod')]),
      'write_it',
      { table: 't' },
      { requestId: 'r', signal: gone.signal },
    );
    expect(codeOf(await call)).toBe('unavailable');
    expect(bench.means.entries.map(({ phase }) => phase)).toEqual(['intent', 'outcome']);
  });
});

describe('when nothing can be recorded', () => {
  test('a read is withheld', async () => {
    const bench = openBench();
    bench.means.failFrom = 0;
    const outcome = await bench.call('read_it');
    expect(outcome.ok).toBe(false);
    expect(JSON.stringify(shown(outcome))).not.toContain('done');
  });

  test('a write does not begin', async () => {
    const bench = openBench();
    bench.means.failFrom = 0;
    expect((await bench.call('write_it')).ok).toBe(false);
    expect(bench.calls).toEqual([]);
  });

  test('a write that was done and not recorded is unknown, never failed', async () => {
    const bench = openBench();
    bench.means.failFrom = 1;
    expect(shown(await bench.call('write_it'))).toMatchObject({
      code: 'outcome-unknown',
      hint: expect.stringContaining('idempotency_key'),
    });
    expect(bench.calls).toHaveLength(1);
  });

  test('why a write failed is told all the same', async () => {
    const bench = openBench();
    bench.means.failFrom = 1;
    bench.run = () => Promise.reject(new FrameError('row/duplicate', 'There is one.'));
    expect(codeOf(await bench.call('write_it'))).toBe('row/duplicate');
  });

  test('a refusal is withheld as well', async () => {
    const bench = openBench();
    bench.means.failFrom = 0;
    for (const tool of ['read_it', 'no_such_tool']) {
      const refused = await bench.call(tool, { entity: 'axe' });
      expect(codeOf(refused)).not.toMatch(/^args/);
    }
    await expect(bench.door.turnedAway('axe', callerOf([]).person, 'access/not-admitted', 'r')).rejects.toThrow();
  });
});

test.each([[true], [false]])('a right among the tools is no right, whoever asks first (with it: %s)', withFirst => {
  const parts = { means: fakeMeans(), findPlace: () => undefined, takeRate: async () => {}, callSeconds: 60 };
  const door = createDoor({ ...parts, catalogue: CATALOGUE, observe: () => {} });
  const [axe, tools] = [[entity('axe', 'prod')], ['reveal', 'select_rows']];
  // A role names its right among its tools; of two credentials the other one may lack it.
  const without = { ...callerOf(axe, new Set([...tools, 'pii:read'])), rights: new Set<never>() };
  const having = callerOf(axe, new Set(tools));
  if (withFirst) door.list(having);
  expect(door.list(without).map(({ name }) => name)).toEqual(['select_rows']);
  expect(door.list(having)).toHaveLength(2);
});
