import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { orDidYouMean } from './did-you-mean.ts';
import { formatMistake, type Mistake, WrongConfiguration } from './errors.ts';
import { openYaml, type Path, type Position } from './yaml-source.ts';

/**
 * One YAML document → a value checked by a zod schema, or all its mistakes with line and column. It does not know what
 * a file is for, and its sentences only quote what is written in the file.
 */
export interface YamlValue<T> {
  value: T;
  /** Where the value at `path` stands. */
  locate(path: Path): Position | undefined;
}

/** Reports what a schema cannot say. `say` gets the value (or the key) as written. */
export type Report = (path: Path, say: (written: string) => string, at?: 'key') => void;

/** Sees the plain value before the schema does, and may replace it. */
export type Prepare = (value: unknown, report: Report) => unknown;

/** A message in `schema` is the end of a sentence ("must be …"): the value as written becomes its beginning. */
export function parseYaml<T>(
  file: string,
  text: string,
  schema: z.ZodType<T>,
  prepare: Prepare = value => value,
): YamlValue<T> | { mistakes: Mistake[] } {
  const { source, faults } = openYaml(text);
  const mistakes: Mistake[] = faults.map(fault => ({ file, ...fault }));
  if (!source) return { mistakes: inOrder(mistakes) };

  const reported = new Set<string>();
  const report: Report = (path, say, at) => {
    const place = JSON.stringify([path, at]);
    if (reported.has(place)) return;
    reported.add(place);
    mistakes.push({ file, ...source.positionOf(path, at), sentence: say(source.written(path, at)) });
  };
  const value = prepare(source.value, report);
  for (const { path, say, at } of findFlaws(schema, value)) report(path, say, at);

  if (mistakes.length > 0) return { mistakes: inOrder(mistakes) };
  return { value: schema.parse(value), locate: path => (source.has(path) ? source.positionOf(path) : undefined) };
}

/**
 * The text of a configuration file.
 * @throws WrongConfiguration when it is missing, unreadable or not UTF-8.
 */
export async function readConfigurationFile(file: string): Promise<string> {
  const refuse = (sentence: string) => new WrongConfiguration([{ file, sentence }]);
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw refuse(error.code === 'ENOENT' ? 'there is no such file' : `the file cannot be read: ${error.message}`);
  });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw refuse('the file is not UTF-8 text');
  }
}

// Private

/** As a person reads the file, each once: what stands at an anchor is met again at every alias of it. */
function inOrder(mistakes: readonly Mistake[]): Mistake[] {
  const once = new Map(mistakes.map(mistake => [formatMistake(mistake), mistake]));
  return [...once.values()].sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

interface Flaw {
  path: (string | number)[];
  say(written: string): string;
  at?: 'key';
}

function findFlaws(schema: z.core.$ZodType, value: unknown): Flaw[] {
  const further: Flaw[] = [];
  const knownKeys = new Map<string, string[]>();
  const { error } = z.safeParse(schema, value, {
    error: issue => {
      const path = stepsOf(issue.path);
      if (issue.inst instanceof z.ZodObject) knownKeys.set(JSON.stringify(path), Object.keys(issue.inst.shape));
      // A record does not look at the value of a key that it refuses.
      if (issue.code === 'invalid_key' && issue.inst instanceof z.ZodRecord) {
        const below = findFlaws(issue.inst.valueType, valueAt(value, path));
        further.push(...below.map(flaw => ({ ...flaw, path: [...path, ...flaw.path] })));
      }
      return describe(issue);
    },
  });
  const flaws = error?.issues.flatMap((issue): Flaw[] => {
    const path = stepsOf(issue.path);
    switch (issue.code) {
      case 'unrecognized_keys': {
        const known = knownKeys.get(JSON.stringify(path)) ?? [];
        return issue.keys.map(key => ({ path: [...path, key], say: () => describeUnknownKey(key, known), at: 'key' }));
      }
      case 'invalid_key':
        return [{ path, say: key => `\`${key}\` ${issue.message}`, at: 'key' }];
      case 'invalid_type':
      case 'too_small':
      case 'too_big':
        return [{ path, say: () => `${nameOf(path)} ${issue.message}` }];
      default:
        return [{ path, say: written => `\`${written}\` ${issue.message}` }];
    }
  });
  return [...(flaws ?? []), ...further];
}

function describe(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return describeType(issue.expected, issue.input);
    case 'invalid_value': {
      const values = issue.values.map(String);
      return `is none of ${quoted(values)}${orDidYouMean(String(issue.input), values)}`;
    }
    case 'invalid_key':
      return issue.issues[0]?.message;
    case 'too_small':
      return typeof issue.input === 'number' ? `must be at least ${issue.minimum}` : 'must not be empty';
    case 'too_big':
      return `must be at most ${issue.maximum}${typeof issue.input === 'number' ? '' : ' long'}`;
    default:
      return undefined;
  }
}

function describeType(expected: string, input: unknown): string {
  if (input === undefined) return 'is missing';
  const wanted = TYPE_WORDS[expected] ?? expected;
  if (input === null) return `must be ${wanted}, but nothing stands here`;
  if (expected === 'string' && typeof input !== 'object') return `must be ${wanted}; put it in quotes`;
  return `must be ${wanted}, not ${TYPE_WORDS[Array.isArray(input) ? 'array' : typeof input]}`;
}

function describeUnknownKey(key: string, known: readonly string[]): string {
  return `unknown key \`${key}\`${orDidYouMean(key, known) || `; known here: ${quoted(known)}`}`;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys with values',
  record: 'keys with values',
};

function nameOf(path: Path): string {
  const name = path.findLast(step => typeof step === 'string');
  return name === undefined ? 'the file' : `\`${name}\``;
}

function stepsOf(path: readonly PropertyKey[] = []): (string | number)[] {
  return path.filter(step => typeof step !== 'symbol');
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((part, step) => new Map(Object.entries(part ?? {})).get(String(step)), value);
}

function quoted(words: readonly string[]): string {
  return words.map(word => `\`${word}\``).join(', ');
}
