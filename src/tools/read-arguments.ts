import type { z } from 'zod';
import { didYouMean } from '../did-you-mean.ts';
import { FrameError } from '../errors.ts';
import type { Tool } from './tool.ts';

/** Throws `args/invalid` for anything but a JSON object. */
export function requireObject(args: unknown): Record<string, unknown> {
  if (typeof args === 'object' && args !== null && !Array.isArray(args)) return args as Record<string, unknown>;
  throw new FrameError('args/invalid', 'The arguments must be an object.');
}

/**
 * What a tool gets of the arguments; throws `args/invalid` with the first five things that are wrong, or with the first
 * alone of very many arguments. `placeNames`: what this caller may say beside the tool's own arguments.
 */
export function readInput(tool: Tool, args: Record<string, unknown>, placeNames: readonly string[]): unknown {
  // To say of very many values what is wrong with each takes seconds, in which everybody else waits.
  const context = { reportInput: true, abortEarly: hasMany(args) };
  const parsed = tool.input.safeParse(args, context);
  if (parsed.success) return parsed.data;
  const known = [...placeNames, ...Object.keys((tool.input as { shape?: object }).shape ?? {})];
  const { issues } = parsed.error;
  throw new FrameError('args/invalid', issues.slice(0, MAX_TOLD).map(toSentence).join(' '), {
    hint: hintFor(issues, known),
  });
}

// Private

const MAX_TOLD = 5;
const MANY_VALUES = 1000;

/** Counts no further than it must. */
function hasMany(args: unknown): boolean {
  let values = 0;
  const count = (value: unknown): boolean => {
    values += 1;
    if (values > MANY_VALUES) return true;
    if (typeof value !== 'object' || value === null) return false;
    return (Array.isArray(value) ? value : Object.values(value)).some(count);
  };
  return count(args);
}

function toSentence(issue: z.core.$ZodIssue): string {
  const name = `\`${toPath(issue.path) || 'arguments'}\``;
  switch (issue.code) {
    case 'unrecognized_keys': {
      const told = issue.keys.slice(0, MAX_TOLD);
      const names = told.map(key => `\`${toPath([...issue.path, key.slice(0, 80)])}\``);
      const more = issue.keys.length - told.length;
      return `There is no argument ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`;
    }
    case 'invalid_type':
      if (issue.input === undefined) return `${name} is missing.`;
      return `${name} must be ${KINDS[issue.expected] ?? issue.expected}, not ${kindOf(issue.input)}.`;
    case 'invalid_value':
      return `${name} must be one of ${issue.values.map(String).join(', ')}.`;
    case 'too_big':
      return `${name} must ${amount(issue.origin, 'at most', issue.maximum)}.`;
    case 'too_small':
      return `${name} must ${amount(issue.origin, 'at least', issue.minimum)}.`;
    default:
      return `${name}: ${issue.message}.`;
  }
}

/** In the words of JSON, with zod's names for what it expects. */
const KINDS: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'an object',
  record: 'an object',
  string: 'a text',
};

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : 'a fraction';
  return KINDS[typeof value] ?? typeof value;
}

function amount(origin: string, bound: string, limit: number | bigint): string {
  if (origin === 'string') return `have ${bound} ${limit} character${limit === 1 ? '' : 's'}`;
  if (origin === 'array') return `have ${bound} ${limit} ${limit === 1 ? 'entry' : 'entries'}`;
  return `be ${bound} ${limit}`;
}

/** `changes[0].create_table.columns[2].type` */
function toPath(parts: readonly PropertyKey[]): string {
  const steps = parts.map(part => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`));
  return steps.join('').replace(/^\./, '');
}

function hintFor(issues: readonly z.core.$ZodIssue[], known: string[]): string | undefined {
  const unknown = issues.find(issue => issue.code === 'unrecognized_keys' && issue.path.length === 0);
  if (unknown?.code !== 'unrecognized_keys') return undefined;
  const guess = didYouMean(unknown.keys[0] ?? '', known);
  return guess ? `Did you mean \`${guess}\`?` : `Arguments are: ${known.join(', ') || 'none'}.`;
}
