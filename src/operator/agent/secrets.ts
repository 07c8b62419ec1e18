import { parseEnv } from 'node:util';
import { readIfThere } from './durable.ts';
import type { Layout } from './layout.ts';

/** What shared/env holds that nobody may read in an answer, an event or the history. */
export interface Secrets {
  hide(text: string): string;
}

export async function readVariables(layout: Layout): Promise<Record<string, string>> {
  return { ...parseEnv((await readIfThere(layout.env)) ?? '') } as Record<string, string>;
}

export async function readSecrets(layout: Layout): Promise<Secrets> {
  const values = Object.entries(await readVariables(layout)).flatMap(([name, value]) => secretsIn(name, value));
  // The longest first: one may be part of another.
  const secrets = [...new Set(values)]
    .filter(({ length }) => length >= LEAST_LENGTH)
    .sort((one, other) => other.length - one.length);
  return { hide: text => secrets.reduce((hidden, secret) => hidden.replaceAll(secret, '[REDACTED]'), text) };
}

// Private

/** Shorter ones would hide half of every sentence, and are no secrets. */
const LEAST_LENGTH = 4;

/** Our own variables hold none, but for the address of the database. */
function secretsIn(name: string, value: string): string[] {
  const password = URL.parse(value)?.password ?? '';
  const inUrl = password === '' ? [] : [value, password, decode(password)];
  return name.startsWith('FRAME_') ? inUrl : [value, ...inUrl];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
