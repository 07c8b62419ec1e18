import { isOperator } from './operator.ts';

/** Columns and operators of a `where` without a value, for the audit. Never throws: the filter may be wrong. */
export function outlineFilter(where: unknown): string[] {
  return outline(where, 1).slice(0, MAX_OUTLINED);
}

/** Names for the audit, each once. */
export function outlineNames(names: Iterable<string>): string[] {
  return [...new Set(names)].slice(0, MAX_OUTLINED).map(outlineName);
}

/** What is no name may be a value that slipped. */
export function outlineName(text: string): string {
  return /^-?\w{1,63}$/.test(text) ? text : '?';
}

// Private

const MAX_OUTLINED = 20;
const MAX_DEPTH = 8;
const LOGICAL = new Set(['and', 'or', 'not']);

function outline(where: unknown, depth: number): string[] {
  if (typeof where !== 'object' || where === null || depth > MAX_DEPTH) return [];
  return Object.entries(where).flatMap(([key, value]) => {
    if (!LOGICAL.has(key)) return [`${outlineName(key)} ${outlineCondition(value)}`];
    const inner = Array.isArray(value) ? value.flatMap(part => outline(part, depth + 1)) : outline(value, depth + 1);
    return [`${key}(${inner.slice(0, MAX_OUTLINED).join(', ')})`];
  });
}

function outlineCondition(value: unknown): string {
  if (Array.isArray(value)) return `in[${value.length}]`;
  if (typeof value !== 'object' || value === null) return 'eq';
  const keys = Object.keys(value).slice(0, MAX_OUTLINED);
  return keys.map(key => (isOperator(key) ? key : '?')).join(' ');
}
