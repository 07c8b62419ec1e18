import { FrameError } from '../errors.ts';
import { isCompanion } from './seal.ts';

/** What tables, columns and indexes may be called when Frame makes them. Tables made elsewhere may be called anything. */
export type NamedThing = 'table' | 'column' | 'index';

/** Throws `table/bad-name` unless `name` is one that Frame may give to a new thing. */
export function assertName(thing: NamedThing, name: string): void {
  if (!NAME.test(name)) {
    throw badName(thing, name, 'Use a small letter first, then small letters, digits and _; at most 63 characters.');
  }
  if (name.startsWith('pg_')) throw badName(thing, name, 'Names that start with pg_ belong to Postgres.');
  if (thing === 'column' && RESERVED_COLUMNS.has(name)) {
    throw badName(thing, name, 'This word has a meaning of its own in queries; choose another.');
  }
}

/** Things that Frame keeps for itself, such as indexes of sealed columns and what waits to be brought back. */
export function isHiddenTable(name: string): boolean {
  return name.startsWith('_');
}

export function isHiddenColumn(name: string): boolean {
  return name.startsWith('_dropped_') || isCompanion(name);
}

// Private

const NAME = /^[a-z][a-z0-9_]{0,62}$/;

/** Words of `where`, and the system columns of every Postgres table. */
const RESERVED_COLUMNS = new Set(['and', 'or', 'not', 'ctid', 'tableoid', 'xmin', 'xmax', 'cmin', 'cmax']);

function badName(thing: NamedThing, name: string, hint: string): FrameError {
  return new FrameError('table/bad-name', `\`${name.slice(0, 80)}\` cannot be the name of a ${thing}.`, { hint });
}
