import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toRow } from '../../src/audit/record.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { createLedger } from '../../src/database/ledger.ts';
import { migrateSchemas } from '../../src/database/migrate.ts';
import { readMigrations } from '../../src/database/migration-files.ts';
import { CONTROL_DATABASE, CONTROL_LOGIN } from '../../src/database/place.ts';
import { provision } from '../../src/database/provision.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { observeNothing } from '../../src/observe.ts';
import { EACH_POSTGRES, type TestPostgres } from '../support/each-postgres.ts';
import { entryOf } from './audit-database.ts';

describe.each(EACH_POSTGRES)('a log from before there were months, on $name', ({ isThere, start }) => {
  let postgres: TestPostgres;
  let root: OwnerConnection;

  beforeAll(async () => {
    if (!isThere) return;
    postgres = await start();
    const owner = await postgres.server.connectAsOwner('postgres');
    await owner.script(`create role ${CONTROL_LOGIN.role} login; create role frame_audit login`);
    await owner.query(`create database ${CONTROL_DATABASE}`);
    await owner.close();
    root = await postgres.server.connectAsOwner(CONTROL_DATABASE);
    await createLedger(root, CONTROL_LOGIN.role);
    const older = (await readMigrations('control')).filter(({ version }) => version < 6);
    await migrateSchemas(root, CONTROL_DATABASE, [{ schema: 'frame' }], older, { observe: observeNothing });
  }, 120_000);
  afterAll(async () => {
    await root?.close();
    await postgres?.remove();
  });

  const append = (owner: OwnerConnection, ...rows: ReturnType<typeof toRow>[]) =>
    owner.query('select audit.append($1::text::json)', [JSON.stringify(rows)]);
  const rowOf = (entity: string, requestId: string) =>
    toRow(entryOf('axe', { entity, requestId, phase: 'intent', outcome: undefined }), randomUUIDv7());
  const all = async () =>
    (
      await root.query(
        "select chain, seq, position, id, at, record, encode(hash, 'hex') from audit.log order by position",
      )
    ).rows;

  test.runIf(isThere)(
    'is whole, in order and not hashed anew behind the migration, and nobody who appends meanwhile is refused',
    async () => {
      const first = rowOf('a', 'first');
      await append(root, first);
      for (let i = 0; i < 300; i++) await append(root, rowOf('abc'[i % 3] ?? 'a', `before ${i}`));
      const before = await all();

      let isOver = false;
      const busy = Promise.all(
        ['a', 'b', 'new 1', 'new 2'].map(async entity => {
          const owner = await postgres.server.connectAsOwner(CONTROL_DATABASE);
          let appended = 0;
          for (; !isOver; appended++) await append(owner, rowOf(entity, `meanwhile ${appended}`));
          await owner.close();
          return appended;
        }),
      );
      await provision(postgres.server, [], role => `password of ${role}`, observeNothing);
      isOver = true;
      const meanwhile = (await busy).reduce((sum, appended) => sum + appended, 0);
      for (let i = 0; i < 10; i++) await append(root, rowOf('a', `after ${i}`));

      const after = await all();
      expect(after.slice(0, before.length)).toEqual(before);
      expect(after).toHaveLength(before.length + meanwhile + 10);
      expect(new Set(after.map(([, , position]) => position)).size).toBe(after.length);
      const verdicts = await Array.fromAsync(verifyAudit(root.query));
      expect(verdicts.map(({ chain, verdict }) => [chain, verdict])).toEqual(
        ['a', 'b', 'c', 'new 1', 'new 2'].map(entity => [`axe/${entity}`, 'whole']),
      );
      await append(root, first);
      expect(await all()).toHaveLength(after.length);
      const { rows } = await root.query(`select relkind from pg_class where oid = 'audit.log'::regclass`);
      expect(rows).toEqual([['p']]);
    },
    60_000,
  );

  test.runIf(isThere)('keeps its intents open, and closes them', async () => {
    const [row] = (
      await root.query('select record from audit.open_intent join audit.log using (chain, seq) order by position')
    ).rows;
    const { id: _, ...intent } = JSON.parse(String(row?.[0]));
    const before = await root.query('select count(*) from audit.open_intent');
    await append(root, toRow({ ...intent, phase: 'outcome', outcome: 'ok' }, randomUUID()));
    const after = await root.query('select count(*) from audit.open_intent');
    expect(Number(after.rows[0]?.[0])).toBe(Number(before.rows[0]?.[0]) - 1);
  });

  test.runIf(isThere)('makes room for months to come, also when many want it at once', async () => {
    const owners = await Promise.all(Array.from({ length: 6 }, () => postgres.server.connectAsOwner(CONTROL_DATABASE)));
    for (let month = 2; month < 8; month++) {
      await root.script(`create or replace function audit.this_month() returns date language sql volatile
        set search_path = pg_catalog, pg_temp as $$
          select (date_trunc('month', now() at time zone 'UTC') + interval '${month} months')::date $$`);
      await Promise.all([
        ...owners.map((owner, i) =>
          append(owner, rowOf(`month ${i % 3}`, `${month} ${i}`), rowOf('a', `${month} ${i}`)),
        ),
        root.query('select audit.make_months()'),
      ]);
    }
    await Promise.all(owners.map(owner => owner.close()));
    const verdicts = await Array.fromAsync(verifyAudit(root.query));
    expect(verdicts.filter(({ verdict }) => verdict !== 'whole')).toEqual([]);
    const { rows } = await root.query('select count(distinct month) from audit.log');
    expect(rows).toEqual([['7']]);
  });
});
