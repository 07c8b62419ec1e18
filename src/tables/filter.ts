import { invalidArgument, requireList, requireObject } from './argument.ts';
import { requireColumn } from './find-column.ts';
import { requireOperator } from './operator.ts';
import type { Parameters } from './statement.ts';
import type { Column, Table } from './table.ts';

/**
 * `where` → a condition with parameters. Two-valued for people: `ne`, `not_in` and `not` are the exact complement of what
 * they deny, so they match nulls too. Throws FrameErrors that name the place in the arguments: `where.and[1].total`.
 */
export interface Filter {
  /** A Postgres expression of type boolean. */
  text: string;
  /** How many conditions it has; 0 matches every row. */
  conditions: number;
}

export function compileFilter(
  table: Table,
  where: Record<string, unknown> | undefined,
  parameters: Parameters,
): Filter {
  const compiler = createCompiler(table, parameters);
  const text = where === undefined || Object.keys(where).length === 0 ? 'true' : compiler.object(where, 'where', 1);
  return { text, conditions: compiler.conditions() };
}

// Private

const MAX_DEPTH = 8;
const MAX_CONDITIONS = 200;
const LOGICAL = new Set(['and', 'or', 'not']);

function createCompiler(table: Table, parameters: Parameters) {
  let conditions = 0;

  function object(where: Record<string, unknown>, path: string, depth: number): string {
    if (depth > MAX_DEPTH) throw invalidArgument(path, `conditions may be nested ${MAX_DEPTH} deep at most.`);
    const parts = Object.entries(where).map(([key, value]) => {
      const inner = `${path}.${key.slice(0, 80)}`;
      return LOGICAL.has(key) ? logical(key, value, inner, depth) : column(key, value, inner);
    });
    if (parts.length === 0) throw invalidArgument(path, 'there is no condition in it.');
    return parts.length === 1 ? `${parts[0]}` : `(${parts.join(' and ')})`;
  }

  function logical(key: string, value: unknown, path: string, depth: number): string {
    if (key === 'not') return `(${object(requireObject(value, path), path, depth + 1)} is not true)`;
    const parts = requireList(value, path).map((part, i) => {
      const inner = `${path}[${i}]`;
      return object(requireObject(part, inner), inner, depth + 1);
    });
    if (parts.length === 0) throw invalidArgument(path, 'the list is empty.');
    return `(${parts.join(` ${key} `)})`;
  }

  function column(name: string, value: unknown, path: string): string {
    const found = requireColumn(table, name, path);
    if (Array.isArray(value)) return condition(found, 'in', value, path);
    if (typeof value !== 'object' || value === null) return condition(found, 'eq', value, path);
    const parts = Object.entries(value).map(([key, inner]) =>
      condition(found, key, inner, `${path}.${key.slice(0, 80)}`),
    );
    if (parts.length === 0) throw invalidArgument(path, 'there is no operator in it.', 'Write { operator: value }.');
    return parts.length === 1 ? `${parts[0]}` : `(${parts.join(' and ')})`;
  }

  function condition(found: Column, key: string, value: unknown, path: string): string {
    if (++conditions > MAX_CONDITIONS) throw invalidArgument(path, `there are more than ${MAX_CONDITIONS} conditions.`);
    return `(${requireOperator(found, key, path).compile(found, value, path, parameters)})`;
  }

  return { object, conditions: () => conditions };
}
