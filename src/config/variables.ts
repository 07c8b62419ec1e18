import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseHostPort, whyNotOrigin } from '../address.ts';
import { didYouMean } from '../did-you-mean.ts';
import type { Mistake } from '../errors.ts';
import { LOG_LEVELS, type LogLevel } from '../observe.ts';
import { Secret } from '../secret.ts';

/** What the environment and the flags of a command say; a flag wins over the variable of the same meaning. */
export interface Variables {
  configFolder: string;
  customersFile: string;
  /** The process is pinned to this customer. */
  customer: string | undefined;
  /** A superuser or owner connection; without it, the embedded Postgres. */
  databaseUrl: Secret | undefined;
  dataFolder: string;
  /** Port 0 asks for a free one. */
  listen: { host: string; port: number };
  origin: string | undefined;
  masterKeyFile: string;
  /** Only at its default place and while the embedded Postgres has never run, so only on a first local start. */
  masterKeyMayBeCreated: boolean;
  /** Of the key files of entities, which open their personal data. */
  keyFolder: string;
  slot: 'blue' | 'green' | undefined;
  /** For ssh to the customers' machines, instead of the operator's own. */
  sshConfigFile: string | undefined;
  logLevel: LogLevel;
}

export type Flag = 'config' | 'customers' | 'customer' | 'data' | 'listen' | 'origin' | 'slot' | 'log';
export type Flags = { readonly [F in Flag]?: string | undefined };

/** Folders and files come out absolute. What is wrong stands at its default and is among the mistakes. */
export function readVariables(
  env: NodeJS.ProcessEnv,
  flags: Flags,
  cwd: string,
): { variables: Variables; mistakes: Mistake[] } {
  const mistakes = findTypos(env);

  function read<T>(name: Name, fallback: T, parse: (text: string) => T | undefined, mend: string): T {
    const flag = FLAG_OF[name];
    const flagText = flag && flags[flag];
    const text = flagText ?? env[name];
    if (text === undefined) return fallback;
    const value = text.trim() === '' ? undefined : parse(text);
    if (value !== undefined) return value;
    const file = flagText === undefined ? name : `--${flag}`;
    mistakes.push({ file, sentence: text.trim() === '' ? `is empty; ${mend}, or leave it out` : mend });
    return fallback;
  }

  const path = (text: string) => resolve(cwd, text);
  const dataFolder = read('FRAME_DATA', path('.frame'), path, 'name a folder');
  const databaseUrl = read(
    'FRAME_DATABASE_URL',
    undefined,
    toDatabaseUrl,
    'write postgres://user:password@host:port/database',
  );
  const masterKeyFile = read('FRAME_MASTER_KEY_FILE', join(dataFolder, 'master.key'), path, 'name a file');
  const variables: Variables = {
    configFolder: read('FRAME_CONFIG', defaultConfigFolder(cwd), path, 'name a folder'),
    customersFile: read('FRAME_CUSTOMERS', path('customers.yaml'), path, 'name a file'),
    customer: read('FRAME_CUSTOMER', undefined, toCustomerId, 'name one customer of customers.yaml by its id'),
    databaseUrl,
    dataFolder,
    listen: read(
      'FRAME_LISTEN',
      { host: '127.0.0.1', port: 3710 },
      parseHostPort,
      'write host:port, such as 127.0.0.1:3710',
    ),
    origin: read(
      'FRAME_ORIGIN',
      undefined,
      toOrigin,
      'write scheme, host and port only, such as https://frame.example.com; http is for this machine only',
    ),
    masterKeyFile,
    masterKeyMayBeCreated: env.FRAME_MASTER_KEY_FILE === undefined && databaseUrl === undefined && !hasRun(dataFolder),
    keyFolder: read('FRAME_KEY_FOLDER', join(dirname(masterKeyFile), 'keys'), path, 'name a folder'),
    slot: read('FRAME_SLOT', undefined, oneOf(['blue', 'green']), 'write blue or green'),
    sshConfigFile: read('FRAME_SSH_CONFIG', undefined, path, 'name a file'),
    logLevel: read('FRAME_LOG', 'info', oneOf(LOG_LEVELS), `write one of ${LOG_LEVELS.join(', ')}`),
  };
  return { variables, mistakes };
}

// Private

/** `config` here; a command that runs somewhere else takes what Frame ships, which changes nothing of its defaults. */
function defaultConfigFolder(cwd: string): string {
  const here = resolve(cwd, 'config');
  return existsSync(here) ? here : join(import.meta.dirname, '../../config');
}

/** Postgres leaves this file there when it starts, for good. What it keeps since was made with a key that is missed. */
function hasRun(dataFolder: string): boolean {
  return existsSync(join(dataFolder, 'postgres/data/postmaster.opts'));
}

const FLAG_OF = {
  FRAME_CONFIG: 'config',
  FRAME_CUSTOMERS: 'customers',
  FRAME_CUSTOMER: 'customer',
  FRAME_DATABASE_URL: undefined,
  FRAME_DATA: 'data',
  FRAME_LISTEN: 'listen',
  FRAME_ORIGIN: 'origin',
  FRAME_MASTER_KEY_FILE: undefined,
  FRAME_KEY_FOLDER: undefined,
  FRAME_SLOT: 'slot',
  FRAME_SSH_CONFIG: undefined,
  FRAME_LOG: 'log',
} as const satisfies Record<string, Flag | undefined>;

type Name = keyof typeof FLAG_OF;

/** A slip in FRAME_CUSTOMER would leave the process unpinned, and nobody would notice. */
function findTypos(env: NodeJS.ProcessEnv): Mistake[] {
  return Object.keys(env).flatMap(name => {
    if (!name.startsWith('FRAME_') || Object.hasOwn(FLAG_OF, name)) return [];
    const meant = didYouMean(name, Object.keys(FLAG_OF));
    return meant ? [{ file: name, sentence: `there is no such variable; did you mean ${meant}?` }] : [];
  });
}

function toDatabaseUrl(text: string): Secret | undefined {
  const protocol = URL.parse(text)?.protocol;
  return protocol === 'postgres:' || protocol === 'postgresql:' ? new Secret(text) : undefined;
}

function toCustomerId(text: string): string | undefined {
  return /^[a-z][a-z0-9-]{1,30}$/.test(text) ? text : undefined;
}

function toOrigin(text: string): string | undefined {
  return whyNotOrigin(text) === undefined ? text : undefined;
}

function oneOf<T extends string>(words: readonly T[]): (text: string) => T | undefined {
  return text => words.find(word => word === text);
}
