import { isDeepStrictEqual } from 'node:util';
import { quoteName } from '../../database/quote.ts';
import { FrameError } from '../../errors.ts';
import { invalidArgument } from '../argument.ts';
import { quoteQualified } from '../quote.ts';
import { type ColumnDefault, isSystemColumn } from '../table.ts';
import { addIndex, removeIndex } from './change-index.ts';
import { changeSeal, inItsOwnPlan } from './change-seal.ts';
import { factsOf } from './column-facts.ts';
import { checkClause, checkSql, commentOnCheck, commentOnColumn, defaultSql } from './column-sql.ts';
import { addForeignKey, dropConstraint, freeConstraint } from './constraint.ts';
import { conversionOf } from './conversion.ts';
import { alter, countRows, type Draft, type DraftColumn, type DraftTable, guardRows, touch } from './draft.ts';
import type { ColumnFacts } from './undo.ts';

/**
 * The way from what a column is to what `facts` says, in an order that Postgres accepts: first everything is let go that
 * will not stay, then the type, then what is new. Where `isReturning`, rows that came since are forgiven what they lack.
 * Returns the number of values that going back would not bring back as they were.
 */
export async function reshape(
  draft: Draft,
  table: DraftTable,
  column: DraftColumn,
  facts: ColumnFacts,
  path: string,
  isReturning = false,
): Promise<number> {
  const work: Work = { draft, table, column, before: factsOf(table, column), after: facts, path, isReturning };
  letGo(work);
  await putSeal(work);
  const lost = await changeType(work);
  putDefault(work);
  await putRequired(work);
  await putCheck(work);
  await putReference(work);
  await putUnique(work);
  putComment(work);
  return lost;
}

// Private

interface Work {
  draft: Draft;
  table: DraftTable;
  /** Changes as the work goes on. */
  column: DraftColumn;
  before: ColumnFacts;
  after: ColumnFacts;
  path: string;
  isReturning: boolean;
}

function letGo({ draft, table, column, before, after }: Work): void {
  const { column: was } = before;
  const { column: will } = after;
  const isRetyped = was.postgresType !== will.postgresType;
  if (before.check && (isRetyped || !isDeepStrictEqual(was.check, will.check))) {
    dropConstraint(draft, table, before.check);
    column.check = undefined;
  }
  if (before.reference && was.references !== will.references) {
    dropConstraint(draft, table, before.reference);
    column.references = undefined;
  }
  if (was.unique && !will.unique) {
    const alone = before.indexes.filter(({ unique, columns }) => unique && columns.length === 1);
    for (const index of alone) removeIndex(draft, table, index);
  }
  if (was.default && (isRetyped || !isDeepStrictEqual(was.default, will.default))) {
    alter(draft, table, `alter column ${quoteName(was.name)} drop default`);
    column.default = undefined;
  }
  if (was.required && !will.required) {
    alter(draft, table, `alter column ${quoteName(was.name)} drop not null`);
    column.required = false;
  }
}

/** With the indexes that `facts` names: none of the old ones outlives the values that it was made of. */
async function putSeal({ draft, table, column, after, path }: Work): Promise<void> {
  if (column.seal?.columnId === after.column.seal?.columnId) return;
  for (const index of table.indexes.filter(({ columns }) => columns.includes(column.name))) {
    removeIndex(draft, table, index);
  }
  await changeSeal(draft, table, column, after.column, path);
  column.comment = after.column.comment;
  draft.statements.push(commentOnColumn(draft.place.schema, table.name, column));
  for (const index of after.indexes) await addIndex(draft, table, index, path);
}

async function changeType({ draft, table, column, after, path }: Work): Promise<number> {
  const { type, postgresType, castType } = after.column;
  const { type: oldType, postgresType: oldPostgresType, value } = column;
  Object.assign(column, { type, postgresType, castType });
  if (oldPostgresType === postgresType || !type || !oldType) return 0;
  if (column.isFresh) throw inItsOwnPlan(`${path}.type`);
  const convert = (expression: string) => conversionOf(expression, oldType, type);
  const [probe, next, words] = [convert('value'), convert(`(${value})`), convert(quoteName(column.name))];
  if (!probe || !next || !words) {
    throw invalidArgument(`${path}.type`, `values of type ${oldType} cannot become ${type}.`);
  }
  await refuseFailing(draft, table, `value is not null and ${probe.fails ?? 'false'}`, value, `${path}.type`, type);
  const rows = await guardRows(draft, table, 'value is not null', value);
  const lost = probe.loses ? await guardRows(draft, table, probe.loses, value) : 0;
  const name = `\`${table.name}.${column.name}\``;
  if (lost > 0) draft.warnings.add(`${lost} values of ${name} lose detail; nothing brings it back.`);
  const respelled = probe.respells ? await countRows(draft, table, probe.respells, value) : 0;
  if (respelled > 0) {
    draft.warnings.add(
      `${respelled} values of ${name} are written otherwise from then on, as Postgres writes ${type}; restoring keeps that.`,
    );
  }
  const zoneless = probe.assumesUtc ? await countRows(draft, table, probe.assumesUtc, value) : 0;
  if (zoneless > 0)
    draft.warnings.add(`${zoneless} values of ${name} say no time zone and are taken for times in UTC.`);
  draft.rowsAffected += rows;
  alter(draft, table, `alter column ${quoteName(column.name)} type ${postgresType} using ${words.using}`, {
    reads: true,
  });
  column.value = next.using;
  return lost;
}

async function refuseFailing(
  draft: Draft,
  table: DraftTable,
  condition: string,
  value: string,
  path: string,
  type: string,
): Promise<void> {
  const failing = await guardRows(draft, table, condition, value);
  if (failing === 0) return;
  throw new FrameError('row/bad-value', `\`${path}\`: ${failing} rows hold a value that is no ${type}.`, {
    hint: 'Mend or empty these values first.',
    nextTool: 'select_rows',
  });
}

function putDefault({ draft, table, column, after }: Work): void {
  const { default: wanted } = after.column;
  if (!wanted || isDeepStrictEqual(column.default, wanted)) return;
  const value = defaultSql(draft.place.schema, after.column, wanted);
  alter(draft, table, `alter column ${quoteName(column.name)} set default ${value}`);
  column.default = wanted;
}

async function putRequired({ draft, table, column, after, path, isReturning }: Work): Promise<void> {
  if (!after.column.required || column.required) return;
  const name = `\`${table.name}.${column.name}\``;
  const empty = await guardRows(draft, table, 'value is null', column.value);
  // What comes back is unique again: rows that came since cannot all get the same.
  const isSame = isReturning && after.column.unique && !(column.default && 'gen_uuid' in column.default);
  const filling = isSame ? undefined : column.default;
  if (empty > 0 && !filling) {
    if (!isReturning) throw missingValues(empty, name, path);
    draft.warnings.add(`${name} comes back as optional: ${empty} rows that came since have no value for it.`);
    return;
  }
  if (empty > 0 && filling) fillEmpty(draft, table, column, filling, empty);
  alter(draft, table, `alter column ${quoteName(column.name)} set not null`, { reads: true });
  column.required = true;
}

function fillEmpty(draft: Draft, table: DraftTable, column: DraftColumn, value: ColumnDefault, rows: number): void {
  const [target, name] = [quoteQualified(draft.place.schema, table.name), quoteName(column.name)];
  const filling = defaultSql(draft.place.schema, column, value);
  touch(draft, table, true);
  const isOurs = table.columns.some(known => isSystemColumn(known.name, known.type) && known.name === 'updated_at');
  const touched = isOurs ? ', updated_at = now()' : '';
  draft.statements.push(`update ${target} set ${name} = ${filling}${touched} where ${name} is null`);
  draft.rowsAffected += rows;
  draft.warnings.add(`${rows} rows without \`${table.name}.${column.name}\` get its default.`);
  column.value = `coalesce(${column.value}, ${filling})`;
}

async function putCheck({ draft, table, column, after, path }: Work): Promise<void> {
  const { check } = after.column;
  if (!check || isDeepStrictEqual(column.check, check)) return;
  const fails = `not (${checkSql('value', column, check)})`;
  // What this very plan opens is first seen by the check itself.
  const failing = column.isFresh ? 0 : await countRows(draft, table, fails, column.value);
  if (failing > 0) {
    throw new FrameError('row/check-failed', `\`${path}.check\`: ${failing} rows do not pass it.`, {
      hint: 'Mend these values first, or loosen the check.',
      nextTool: 'select_rows',
    });
  }
  const name = after.check ?? freeConstraint(table, column.name, 'check');
  alter(draft, table, `add ${checkClause(name, column, check)}`, { reads: true });
  draft.statements.push(commentOnCheck(draft.place.schema, table.name, name, check));
  table.checks.push({ name, column: column.name, check });
  column.check = check;
}

async function putReference({ draft, table, column, after, path, isReturning }: Work): Promise<void> {
  const { references: target } = after.column;
  if (!target || column.references === target) return;
  const name = after.reference ?? freeConstraint(table, column.name, 'fkey');
  await addForeignKey(draft, table, { column: column.name, target, name, path: `${path}.references`, isReturning });
  column.references = target;
}

async function putUnique({ draft, table, column, after, path }: Work): Promise<void> {
  if (!after.column.unique || column.unique) return;
  const known = after.indexes.filter(({ unique, columns }) => unique && columns.length === 1);
  const wanted = known.length > 0 ? known : [{ columns: [column.name], unique: true }];
  for (const index of wanted) await addIndex(draft, table, index, `${path}.unique`);
}

function putComment({ draft, table, column, after }: Work): void {
  const { comment, pii } = after.column;
  if (column.comment === comment && column.pii === pii) return;
  Object.assign(column, { comment, pii });
  touch(draft, table);
  draft.statements.push(commentOnColumn(draft.place.schema, table.name, column));
}

function missingValues(rows: number, name: string, path: string): FrameError {
  return new FrameError('row/missing-value', `\`${path}.required\`: ${rows} rows have no value for ${name}.`, {
    hint: 'Give it a default, which they get, or fill them first.',
    nextTool: 'select_rows',
  });
}
