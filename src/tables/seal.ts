import { isIndexable, type PiiKind, type SealableType } from '../vault/pii-kind.ts';
import type { SealedColumnId } from '../vault/place-keys.ts';
import type { PiiMark } from './comment.ts';
import type { Column, Seal, Table } from './table.ts';

/**
 * What a sealed column is in the database: a bytea under its own name, and a hidden companion that finds equal values.
 * Every write names both. So a write that knows the column as it was before its seal came off is refused, instead of
 * leaving a cell as text where text lies open.
 */
export type SealedColumn = Column & { pii: PiiKind; seal: Seal; type: SealableType };

export function isSealed(column: Column): column is SealedColumn {
  return column.seal !== undefined;
}

export function sealedColumns({ columns }: Pick<Table, 'columns'>): SealedColumn[] {
  return columns.filter(isSealed);
}

export function sealOf(kind: PiiKind, type: SealableType, { tableId, columnId }: SealedColumnId): Seal {
  const companion = `${COMPANION_PREFIX}${columnId.replaceAll('-', '')}`;
  return { tableId, columnId, companion, isIndexed: isIndexable(kind, type) };
}

/** What the comment of a column keeps of it. */
export function markOf({ pii, seal, type }: Column): PiiMark | undefined {
  if (!pii) return undefined;
  if (!seal) return { kind: pii, sealed: undefined };
  const { tableId, columnId } = seal;
  return { kind: pii, sealed: { tableId, columnId, type: type as SealableType } };
}

/** As Postgres calls its type. */
export function storedTypeOf({ seal, postgresType }: Pick<Column, 'seal' | 'postgresType'>): string {
  return seal ? 'bytea' : postgresType;
}

/** The column that an index on this one is really on; undefined when there can be none. */
export function indexedColumnOf({ name, seal }: Pick<Column, 'name' | 'seal'>): string | undefined {
  if (!seal) return name;
  return seal.isIndexed ? seal.companion : undefined;
}

export function isCompanion(name: string): boolean {
  return name.startsWith(COMPANION_PREFIX);
}

// Private

const COMPANION_PREFIX = '_bidx_';
