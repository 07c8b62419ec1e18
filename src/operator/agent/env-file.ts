import { parseEnv } from 'node:util';
import { Refused } from './deed.ts';

/**
 * shared/env, as `node --env-file` reads it. It belongs to people as well: their comments, their lines and their values
 * stay. An edit that Node would not read back exactly as meant is refused, and no sentence here repeats a value.
 */
export function readEnv(text: string): Record<string, string> {
  return Object.fromEntries(Object.entries(parseEnv(text)).map(([name, value]) => [name, value ?? '']));
}

export interface Merged {
  text: string;
  /** Names that were not there, or had another value. */
  changed: string[];
  /** Those of them that had another one. */
  replaced: string[];
}

/** The text with these values in it. */
export function mergeEnv(text: string, wanted: Readonly<Record<string, string>>): Merged {
  const before = readEnv(text);
  const changed = Object.keys(wanted).filter(name => before[name] !== wanted[name]);
  const merged = changed.reduce((soFar, name) => setValue(soFar, name, wanted[name] ?? ''), text);
  return { text: merged, changed, replaced: changed.filter(name => before[name]) };
}

/** The numbers of the lines that Node passes over without a word. */
export function findIdleLines(text: string): number[] {
  const meant = JSON.stringify(readEnv(text));
  const lines = text.split('\n');
  return lines.flatMap((line, i) => {
    if (/^\s*(#|$)/.test(line)) return [];
    const without = JSON.stringify(readEnv(lines.toSpliced(i, 1).join('\n')));
    return without === meant ? [i + 1] : [];
  });
}

// Private

function setValue(text: string, name: string, value: string): string {
  const kept = removeValue(text, name);
  const start = kept === '' || kept.endsWith('\n') ? kept : `${kept}\n`;
  const expected = { ...readEnv(text), [name]: value };
  // Node knows no escapes: a value is written in the first kind of quotes that it does not contain.
  for (const quote of ['', "'", '"', '`']) {
    const edited = `${start}${name}=${quote}${value}${quote}\n`;
    if (isSame(readEnv(edited), expected)) return edited;
  }
  throw refuse(`the value of ${name} cannot be written into it: use one on one line, without quotes`);
}

function removeValue(text: string, name: string): string {
  const { [name]: old, ...others } = readEnv(text);
  if (old === undefined) return text;
  const lines = text.split('\n').filter(line => !new RegExp(`^\\s*(export\\s+)?${name}\\s*=`).test(line));
  const kept = lines.join('\n');
  // What was left of a value of several lines would become lines of its own.
  if (isSame(readEnv(kept), others)) return kept;
  throw refuse(`${name} cannot be replaced in it without touching other lines: remove it by hand`);
}

function isSame(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every(name => one[name] === other[name]);
}

function refuse(sentence: string): Refused {
  return new Refused({ code: 'deploy/refused', message: `shared/env: ${sentence}.`, exit: 2 });
}
