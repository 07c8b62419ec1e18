import type { ColumnType } from '../../src/tables/column-type.ts';
import { postgresTypeOf } from '../../src/tables/column-type.ts';
import { type Column, isSystemColumn, SYSTEM_COLUMNS, type Table } from '../../src/tables/table.ts';

/** A table as the catalog would give it, for tests that need no Postgres. */
export function sampleTable(columns: readonly Column[], changes: Partial<Table> = {}): Table {
  return {
    schema: 'axe_prod',
    name: 'orders',
    comment: undefined,
    columns: [
      ...Object.entries(SYSTEM_COLUMNS).map(([name, type]) => sampleColumn(name, type, { required: true })),
      ...columns,
    ],
    primaryKey: ['id'],
    indexes: [{ name: 'orders_pkey', columns: ['id'], unique: true, isConstraint: true }],
    checks: [],
    references: [],
    rowEstimate: undefined,
    ...changes,
  };
}

export function sampleColumn(name: string, type: ColumnType, changes: Partial<Column> = {}): Column {
  return {
    name,
    type,
    postgresType: postgresTypeOf(type),
    castType: postgresTypeOf(type),
    required: false,
    unique: false,
    default: undefined,
    check: undefined,
    references: undefined,
    comment: undefined,
    pii: undefined,
    seal: undefined,
    isProtected: isSystemColumn(name, type),
    ...changes,
  };
}

/** The error that `work` throws; a test that expects one fails when there is none. */
export function errorOf(work: () => unknown): unknown {
  try {
    work();
  } catch (thrown) {
    return thrown;
  }
  throw new Error('nothing was thrown');
}
