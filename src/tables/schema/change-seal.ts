import { randomUUID } from 'node:crypto';
import { quoteName } from '../../database/quote.ts';
import { FrameError } from '../../errors.ts';
import { type PiiKind, SEALABLE_TYPES } from '../../vault/pii-kind.ts';
import { invalidArgument } from '../argument.ts';
import { quoteQualified } from '../quote.ts';
import { isSealed, sealedColumns, sealOf, storedTypeOf } from '../seal.ts';
import { type Column, isSystemColumn, type Seal } from '../table.ts';
import { alter, type Draft, type DraftColumn, type DraftTable, guardRows, touch } from './draft.ts';

/** More than this takes longer than one call may; nothing of the table can be used meanwhile. */
export const MAX_RESEALED_ROWS = 200_000;

/** The kind of personal data that was asked for. */
export function toKind(asked: boolean | PiiKind | undefined): PiiKind | undefined {
  return asked === true ? 'other' : asked || undefined;
}

/** The seal of a column that gets one now; throws when the column, or its table, cannot have any. */
export function newSeal(table: DraftTable, column: Column, path: string): Seal {
  const { type, pii = 'other' } = column;
  const sealable = SEALABLE_TYPES.find(known => known === type);
  if (!sealable) {
    const why = type === 'boolean' ? 'it has too few values to be hidden' : `that is for ${SEALABLE_TYPES.join(', ')}`;
    throw invalidArgument(`${path}.pii`, `a column of type ${type ?? column.postgresType} cannot be sealed: ${why}.`);
  }
  if (
    table.primaryKey.join() !== 'id' ||
    !isSystemColumn('id', table.columns.find(({ name }) => name === 'id')?.type)
  ) {
    throw invalidArgument(
      `${path}.pii`,
      `only tables made here can have sealed columns, for values are bound to their ids.`,
    );
  }
  const [sibling] = sealedColumns(table);
  const ids = { tableId: sibling?.seal.tableId ?? randomUUID(), columnId: randomUUID() };
  const seal = sealOf(pii, sealable, ids);
  refuseUnfit({ ...column, seal }, path);
  return seal;
}

/** What only the database could enforce, or would have to keep in plain, does not go with a seal. */
export function refuseUnfit({ pii, type, unique, default: value, check, seal }: Column, path: string): void {
  if (!seal) return;
  if (value) throw invalidArgument(`${path}.default`, 'a sealed column has none: it would lie open in the table.');
  if (check?.one_of) {
    throw invalidArgument(
      `${path}.check`,
      'a column of a few known values is not hidden by sealing it; seal it without.',
    );
  }
  if (check) throw invalidArgument(`${path}.check`, 'the database cannot check what it cannot read; seal it without.');
  if (unique && !seal.isIndexed) throw unindexable(pii, type, `${path}.unique`);
}

export function unindexable(pii: PiiKind | undefined, type: Column['type'], path: string): FrameError {
  const what = type === 'text' ? `a sealed ${pii}` : `a sealed column of type ${type}`;
  return invalidArgument(
    path,
    `${what} has no index and cannot be unique: too few possible values to be hidden by one.`,
  );
}

/** The seal that a column has after `asked` was set on it: a new one, the same, or none. */
export function sealAfter(
  table: DraftTable,
  before: Column,
  after: Column,
  asked: boolean | PiiKind | undefined,
  path: string,
): Seal | undefined {
  if (asked === undefined || (before.seal && before.pii === after.pii)) {
    if (before.seal && after.type !== before.type) {
      throw invalidArgument(`${path}.type`, 'a sealed column keeps its type.', 'Take its seal off first: pii: false.');
    }
    refuseUnfit({ ...after, seal: before.seal }, path);
    return before.seal;
  }
  if (!before.seal && !after.pii) return undefined;
  if (before.seal && after.pii) {
    const hint = 'Take its seal off (pii: false) in one change and seal it anew in the next.';
    throw invalidArgument(`${path}.pii`, `it is sealed as ${before.pii}, which decides what its index holds.`, hint);
  }
  if (after.type !== before.type) {
    throw invalidArgument(`${path}.type`, 'change the type and the seal in plans of their own.');
  }
  return after.pii ? newSeal(table, after, path) : undefined;
}

/**
 * Seals the values of a column, or takes the seal off: into a column beside it, which then takes its place in one rewrite
 * of the table, so that no old value is left in its pages. Indexes are let go; the caller puts back what should be there.
 */
export async function changeSeal(draft: Draft, table: DraftTable, column: DraftColumn, after: Column, path: string) {
  if (column.isFresh) throw inItsOwnPlan(path);
  if (!after.seal && !draft.mayUnseal) throw mayNotUnseal();
  const rows = await guardRows(draft, table, 'value is not null', column.value);
  if (rows > MAX_RESEALED_ROWS) throw tooMany(table, rows);
  const { value: old, isFresh: _, ...before } = column;
  if (after.seal) seal(draft, table, before, { ...after, seal: after.seal });
  else unseal(draft, table, before);
  draft.rowsAffected += rows;
  draft.regrants.add(table);
  // Nobody can say yet what it will hold, but for where it holds nothing.
  const value = rows > 0 ? old : `null::${storedTypeOf(after)}`;
  Object.assign(column, { pii: after.pii, seal: after.seal, value, isFresh: rows > 0 });
  for (const warning of warningsOf(table.name, after, rows)) draft.warnings.add(warning);
}

export function mayNotUnseal(): FrameError {
  return new FrameError(
    'access/right-missing',
    'Without its seal, personal data lies open to all who read the table.',
    {
      hint: 'This needs a role with the right pii:read. `get_context` says who can change yours.',
      nextTool: 'get_context',
    },
  );
}

/** Only a plan that is being made knows nothing of values that it will itself seal or open. */
export function inItsOwnPlan(path: string): FrameError {
  return invalidArgument(path, 'the seal of this column changes in this plan; change the rest in a plan after it.');
}

// Private

function seal(draft: Draft, table: DraftTable, before: Column, after: Column & { seal: Seal }): void {
  const into = `_sealed_${after.seal.columnId.replaceAll('-', '')}`;
  const name = quoteName(before.name);
  alter(draft, table, `add column ${quoteName(into)} bytea, add column ${quoteName(after.seal.companion)} bytea`);
  work(draft, table, 'seal', after, into);
  alter(draft, table, `alter column ${name} type bytea using ${quoteName(into)}, drop column ${quoteName(into)}`, {
    reads: true,
  });
  // What repeated calls would be answered with holds values of rows.
  const requests = quoteQualified(draft.place.schema, '_requests');
  draft.statements.push(`delete from ${requests} where answer ? 'before'`);
}

function unseal(draft: Draft, table: DraftTable, before: Column): void {
  if (!isSealed(before)) return;
  const into = `_opened_${before.seal.columnId.replaceAll('-', '')}`;
  const [name, companion] = [quoteName(before.name), quoteName(before.seal.companion)];
  alter(draft, table, `add column ${quoteName(into)} ${before.postgresType}`);
  work(draft, table, 'unseal', before, into);
  const taken = `alter column ${name} type ${before.postgresType} using ${quoteName(into)}`;
  alter(draft, table, `${taken}, drop column ${quoteName(into)}, drop column ${companion}`, { reads: true });
}

function work(draft: Draft, table: DraftTable, deed: 'seal' | 'unseal', column: Column, into: string): void {
  if (!isSealed(column)) return;
  touch(draft, table, true);
  draft.statements.push({ deed, schema: draft.place.schema, table: table.name, column, into });
}

function tooMany(table: DraftTable, rows: number): FrameError {
  const limit = `at most ${MAX_RESEALED_ROWS} values can be sealed or opened in one change`;
  return new FrameError('plan/failed', `\`${table.name}\` has ${rows} of them, and ${limit}.`, {
    hint: 'Make a new table with the column as it should be and import the rows into it; the operator can help.',
  });
}

function warningsOf(table: string, { name, seal, check, unique }: Column, rows: number): string[] {
  const what = `\`${table}.${name}\``;
  const busy = `Nobody can use \`${table}\` while its ${rows} values are worked on (at most ${MAX_RESEALED_ROWS}).`;
  const untried = `Not tried out: whether the values of ${what} fit its check and are unique is seen when it is applied.`;
  if (!seal) {
    return [
      ...(rows > 0 ? [busy] : []),
      ...(rows > 0 && (check || unique) ? [untried] : []),
      `The values of ${what} will lie open in the database, its log and its backups.`,
    ];
  }
  const leftovers =
    `The old values of ${what} are gone from the table at once, but not from backups, from the log of the database ` +
    'until it is recycled, and from the freed pages and statistics of its disk until they are used again.';
  const equality = `Who reads the database sees which rows have the same ${what}, but not what it is.`;
  return [...(rows > 0 ? [busy, leftovers] : []), ...(seal.isIndexed ? [equality] : [])];
}
