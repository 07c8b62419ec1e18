import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Table } from '../../../src/tables/table.ts';
import { openSchemaPlace, type SchemaPlace } from './schema-place.ts';

let home: SchemaPlace;
let version: number;
let before: Table[];

beforeAll(async () => {
  home = await openSchemaPlace();
  await home.change(
    {
      create_table: {
        name: 'customers',
        comment: "who buys; it's all here",
        columns: [{ name: 'name', type: 'text' }],
      },
    },
    {
      create_table: {
        name: 'orders',
        columns: [
          { name: 'customer', type: 'reference', references: 'customers', comment: 'who pays' },
          { name: 'total', type: 'numeric', required: true, default: '12.50', check: { min: 0, max: 1000 } },
          { name: 'state', type: 'text', default: "o'k", check: { one_of: ['new', "o'k", 'a\\b'] } },
          {
            name: 'code',
            type: 'text',
            unique: true,
            check: { pattern: '^[A-Z]{2}-\\d+$', min_length: 4, max_length: 20 },
          },
          { name: 'day', type: 'date', default: { now: true }, check: { min: '2020-01-01' } },
          { name: 'at', type: 'timestamp', default: '2026-01-31T09:30:00Z' },
          { name: 'meta', type: 'json', default: { now: true, list: [1, "it's", null] } },
          { name: 'key', type: 'uuid', default: { gen_uuid: true } },
          { name: 'ok', type: 'boolean', required: true, default: false },
          { name: 'amount', type: 'integer', default: -5 },
          { name: 'big', type: 'bigint', default: '9007199254740993' },
          { name: 'parent', type: 'reference', references: 'orders' },
          { name: 'ssn', type: 'text', pii: true, comment: 'number\n[pii]' },
        ],
      },
    },
    { create_index: { table: 'orders', columns: ['customer', 'total'] } },
    { create_index: { table: 'orders', columns: ['state', 'amount'], unique: true } },
  );
  await home.rows(`insert into $s.customers (name) values ('Ada'), ('Bob')`);
  await home.rows(`insert into $s.orders (customer, code, state, amount, total)
    select id, 'AB-' || row_number() over (), 'new', row_number() over (), 7 from $s.customers`);
  version = 1;
  before = await home.tables();
});
afterAll(() => home?.remove());

/** Every change of the contract on tables with rows; after it and back, nothing may be different. */
const CHANGES: Record<string, object[]> = {
  create_table: [
    {
      create_table: {
        name: 'notes',
        columns: [{ name: 'about', type: 'reference', references: 'orders', required: true }],
      },
    },
  ],
  'add_column, plain': [{ add_column: { table: 'orders', column: { name: 'note', type: 'text' } } }],
  'add_column, with everything': [
    {
      add_column: {
        table: 'orders',
        column: {
          name: 'rank',
          type: 'integer',
          required: true,
          default: 3,
          check: { max: 9 },
          comment: 'c',
        },
      },
    },
  ],
  'add_column, unique': [
    {
      add_column: {
        table: 'orders',
        column: { name: 'ticket', type: 'uuid', unique: true, default: { gen_uuid: true } },
      },
    },
  ],
  'alter_column type': [{ alter_column: { table: 'orders', column: 'amount', set: { type: 'bigint' } } }],
  'alter_column type of text with a check': [
    {
      alter_column: {
        table: 'orders',
        column: 'amount',
        set: { type: 'text', default: '-5', check: { max_length: 30 } },
      },
    },
  ],
  'alter_column reference to uuid': [{ alter_column: { table: 'orders', column: 'customer', set: { type: 'uuid' } } }],
  'alter_column to another table': [
    { alter_column: { table: 'orders', column: 'parent', set: { references: 'customers' } } },
  ],
  'alter_column required': [{ alter_column: { table: 'orders', column: 'total', set: { required: false } } }],
  'alter_column to required': [{ alter_column: { table: 'orders', column: 'code', set: { required: true } } }],
  'alter_column unique': [{ alter_column: { table: 'orders', column: 'code', set: { unique: false } } }],
  'alter_column to unique': [{ alter_column: { table: 'orders', column: 'key', set: { unique: true } } }],
  'alter_column default': [{ alter_column: { table: 'orders', column: 'meta', set: { default: [] } } }],
  'alter_column default to none': [{ alter_column: { table: 'orders', column: 'state', set: { default: null } } }],
  'alter_column check': [
    { alter_column: { table: 'orders', column: 'state', set: { check: { one_of: ['new', "o'k", 'paid'] } } } },
  ],
  'alter_column check to none': [{ alter_column: { table: 'orders', column: 'code', set: { check: null } } }],
  'add_column, sealed': [{ add_column: { table: 'orders', column: { name: 'mail', type: 'text', pii: 'email' } } }],
  'add_column, sealed and unique': [
    { add_column: { table: 'orders', column: { name: 'vat', type: 'text', pii: 'tax_id', unique: true } } },
  ],
  'alter_column to personal data, unique': [
    { alter_column: { table: 'orders', column: 'code', set: { pii: 'tax_id', check: null } } },
  ],
  'alter_column to personal data, in an index of two columns': [
    { alter_column: { table: 'orders', column: 'state', set: { pii: 'name', check: null, default: null } } },
  ],
  'alter_column to personal data without an index': [
    { alter_column: { table: 'orders', column: 'day', set: { pii: 'birth_date', check: null, default: null } } },
  ],
  'alter_column to personal data, json and required': [
    { alter_column: { table: 'orders', column: 'meta', set: { pii: true, default: null, required: true } } },
  ],
  'alter_column to personal data, numeric': [
    { drop_index: { table: 'orders', index: 'orders_customer_total_idx' } },
    { alter_column: { table: 'orders', column: 'total', set: { pii: true, default: null, check: null } } },
  ],
  'a sealed column renamed, dropped and one like it added': [
    { rename_column: { table: 'orders', from: 'ssn', to: 'number' } },
    { drop_column: { table: 'orders', column: 'number' } },
    { add_column: { table: 'orders', column: { name: 'ssn', type: 'text', pii: true, required: false } } },
  ],
  'alter_column comment and pii': [
    { alter_column: { table: 'orders', column: 'ssn', set: { comment: null, pii: false } } },
  ],
  'alter_column, all at once': [
    {
      alter_column: {
        table: 'orders',
        column: 'big',
        set: { type: 'numeric', required: true, unique: false, default: 1, check: { min: 0 }, comment: 'b' },
      },
    },
  ],
  rename_column: [{ rename_column: { table: 'orders', from: 'total', to: 'sum' } }],
  drop_column: [{ drop_column: { table: 'orders', column: 'total' } }],
  'drop_column, unique with a check': [{ drop_column: { table: 'orders', column: 'code' } }],
  'drop_column, a reference': [{ drop_column: { table: 'orders', column: 'customer' } }],
  'drop_column, personal': [{ drop_column: { table: 'orders', column: 'ssn' } }],
  create_index: [{ create_index: { table: 'orders', columns: ['day'] } }],
  'create_index unique': [{ create_index: { table: 'orders', columns: ['code', 'day'], unique: true } }],
  drop_index: [{ drop_index: { table: 'orders', index: 'orders_customer_total_idx' } }],
  'drop_index of a unique column': [{ drop_index: { table: 'orders', index: 'orders_code_key' } }],
  rename_table: [{ rename_table: { from: 'customers', to: 'people' } }],
  drop_table: [{ drop_table: { name: 'orders' } }],
  'comment on a table': [{ comment: { table: 'customers', text: '' } }],
  'comment on a column': [{ comment: { table: 'orders', column: 'ssn', text: 'E\'\\\' "x" [pii]' } }],
  'names that change places': [
    { rename_column: { table: 'orders', from: 'total', to: 'spare' } },
    { rename_column: { table: 'orders', from: 'amount', to: 'total' } },
    { rename_column: { table: 'orders', from: 'spare', to: 'amount' } },
  ],
  'a new column in the place of a dropped one': [
    { drop_column: { table: 'orders', column: 'total' } },
    {
      add_column: { table: 'orders', column: { name: 'total', type: 'text', check: { max_length: 3 }, unique: true } },
    },
  ],
  'a new table in the place of a dropped one': [
    { drop_table: { name: 'orders' } },
    { create_table: { name: 'orders', columns: [{ name: 'code', type: 'text', unique: true }] } },
    { create_index: { table: 'orders', columns: ['code', 'created_at'] } },
  ],
  'many that build on each other': [
    { rename_table: { from: 'orders', to: 'bills' } },
    {
      create_table: {
        name: 'lines',
        columns: [{ name: 'bill', type: 'reference', references: 'bills', required: true }],
      },
    },
    { add_column: { table: 'lines', column: { name: 'code', type: 'text' } } },
    { create_index: { table: 'lines', columns: ['bill', 'code'], unique: true } },
    { rename_column: { table: 'lines', from: 'code', to: 'sku' } },
    { alter_column: { table: 'bills', column: 'amount', set: { type: 'bigint' } } },
    {
      alter_column: { table: 'bills', column: 'amount', set: { type: 'numeric', required: true, check: { min: -9 } } },
    },
    { drop_column: { table: 'bills', column: 'customer' } },
    { drop_table: { name: 'customers' } },
  ],
};

describe('there and back again', () => {
  test.each(Object.entries(CHANGES))('%s', async (_, changes) => {
    const rows = await allRows();
    const applied = await home.change(...changes);
    const after = await home.tables();
    expect(applied.version).toBe(version + 1);
    expect(after).not.toEqual(before);

    await home.change({ restore_version: { version } });
    expect(await home.tables()).toEqual(before);
    expect(await allRows()).toEqual(rows);

    await home.change({ restore_version: { version: version + 1 } });
    expect(await home.tables()).toEqual(after);

    await home.change({ restore_version: { version } });
    expect(await home.tables()).toEqual(before);
    version += 4;
  });

  test('all of it, back to the beginning and to the end', async () => {
    await home.change({ restore_version: { version: 0 } });
    expect(await home.tables()).toEqual([]);
    await home.change({ restore_version: { version } });
    expect(await home.tables()).toEqual(before);
    expect(await home.rows('select count(*) from $s.orders o join $s.customers c on c.id = o.customer')).toEqual([
      ['2'],
    ]);
  });
});

/** Updated_at included: bringing a column back touches no row. */
async function allRows(): Promise<unknown[][]> {
  const names = before.find(({ name }) => name === 'orders')?.columns.map(({ name }) => `"${name}"`);
  return home.rows(`select ${names} from $s.orders order by id`);
}
