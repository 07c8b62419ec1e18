import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import {
  type ApiKeyFacts,
  createApiKey,
  listApiKeys,
  replaceApiKey,
  revokeApiKey,
  type StoredApiKey,
} from '../../access/api-key-table.ts';
import { runOn } from '../../access/sessions.ts';
import { readSettings, type Settings } from '../../config/settings.ts';
import { readCustomers, servedCustomers } from '../../customers/customers-file.ts';
import { FrameError } from '../../errors.ts';
import { defineCommand, EXIT, type Io, WrongUsage } from '../command.ts';
import { joinDatabase, type OpenDatabase } from '../open-database.ts';
import { openAudit } from '../record-deed.ts';
import { inColumns } from '../remote/measure.ts';
import { plain } from '../remote/plain.ts';
import {
  readDays,
  readKeyId,
  readListed,
  readNetworks,
  readPlace,
  readRole,
  readVerb,
  requireOptionsOf,
} from './keys-words.ts';

/** API keys: for scripts, and for agents that work beside a person. Only here, never through a tool, is one made. */
export const keysCommand = defineCommand({
  usage: `Usage: frame keys create <entity>[:<environment>] --role ROLE --name NAME [--days N] [--from CIDR]... [options]
       frame keys list [<entity>[:<environment>]] [options]
       frame keys revoke <key> [options]
       frame keys rotate <key> [--days N] [--overlap DAYS] [options]

A key is for one entity and environment and one role. It is shown once, alone on standard output; only a digest of it is
kept. Scripts send it as X-API-Key; an agent sends it beside a person's token, and may do what both may.
  --role ROLE         of config/roles.yaml
  --name NAME         what uses it, for people who look at the list or the audit
  --days N            until it expires: 90 unless said, 30 for a role that may call every tool; at most 365
  --from CIDR         good from this network only; may be repeated
  --overlap DAYS      the old key works so long beside the new one: 7 unless said, at most 30; 0 ends it at once
revoke counts on every running gateway within a second, and so does a key that was seen in an address. rotate makes a key
like the old one. <key> is its id, the ten letters that list shows.`,
  options: {
    role: { type: 'string' },
    name: { type: 'string' },
    days: { type: 'string' },
    from: { type: 'string', multiple: true },
    overlap: { type: 'string' },
  },
  words: { least: 1, most: 2 },
  async run({ words, values, flags, isJson }, io) {
    const [verb, word] = readVerb(words);
    requireOptionsOf(verb, values);
    const settings = await readSettings(io.env, flags, io.cwd);
    if (verb === 'list') return await list(settings, readListed(word), isJson, io);
    if (verb === 'revoke') return await revoke(settings, readKeyId(word), isJson, io);
    if (verb === 'rotate') {
      const overlapDays = readDays(values.overlap, 7, { least: 0, most: 30 });
      return await rotate(settings, readKeyId(word), { days: values.days, overlapDays }, isJson, io);
    }
    if (!values.name?.trim()) throw new WrongUsage('--name says what uses the key.');
    const role = readRole(settings.roles, values.role);
    const customers = servedCustomers(await readCustomersOf(settings, io), settings.customer);
    const facts: ApiKeyFacts = {
      ...readPlace(customers, word),
      role,
      name: values.name.trim().slice(0, MAX_NAME),
      createdBy: operatorName(),
      expiresAt: Date.now() + readDays(values.days, daysOf(settings, role), { most: MAX_DAYS }) * DAY_MS,
      networks: readNetworks(values.from),
    };
    return await create(settings, facts, isJson, io);
  },
});

// Private

const DAY_MS = 86_400_000;
const MAX_DAYS = 365;
const MAX_NAME = 80;

async function create(settings: Settings, facts: ApiKeyFacts, isJson: boolean, io: Io): Promise<number> {
  await using database = await joinDatabase(settings);
  const [text, key] = await createApiKey(runOn(database.pools), facts, Date.now()).catch(explainMissingPlace);
  await record([key], 'keys.create', database, settings);
  show(text, key, isJson, io);
  return EXIT.ok;
}

async function list(
  settings: Settings,
  { entity, environment }: ReturnType<typeof readListed>,
  isJson: boolean,
  io: Io,
): Promise<number> {
  await using database = await joinDatabase(settings);
  const all = await listApiKeys(runOn(database.pools), { customer: settings.customer, entity });
  const keys = all.filter(key => environment === undefined || key.environment === environment);
  const place = [entity, environment].filter(Boolean).join(':');
  if (isJson) io.out(JSON.stringify(keys.map(toJson)));
  else if (keys.length === 0) io.err(place ? `There are no keys for ${plain(place)}.` : 'There are no keys.');
  else for (const line of toTable(keys, Date.now())) io.out(line);
  return EXIT.ok;
}

async function revoke(settings: Settings, id: string, isJson: boolean, io: Io): Promise<number> {
  await using database = await joinDatabase(settings);
  const filter = { id, customer: settings.customer };
  const key = await revokeApiKey(runOn(database.pools), filter, 'revoked-by-operator', Date.now());
  if (!key) throw noKey(id, 'still be used');
  await record([key], 'keys.revoke', database, settings);
  io.out(isJson ? JSON.stringify(toJson(key)) : `revoked ${key.id}  ${plain(key.name)}`);
  return EXIT.ok;
}

/** A second key with the same rights; the first one ends when both sides have had their time. */
async function rotate(
  settings: Settings,
  id: string,
  { days, overlapDays }: { days: string | undefined; overlapDays: number },
  isJson: boolean,
  io: Io,
): Promise<number> {
  await using database = await joinDatabase(settings);
  const run = runOn(database.pools);
  const now = Date.now();
  const [old] = await listApiKeys(run, { id, customer: settings.customer });
  const lifeDays = readDays(days, daysOf(settings, old?.role ?? ''), { most: MAX_DAYS });
  const untilMs = now + overlapDays * DAY_MS;
  const facts = { createdBy: operatorName(), expiresAt: now + lifeDays * DAY_MS };
  const rotated = old && (await replaceApiKey(run, old, facts, { nowMs: now, untilMs }));
  if (!old || !rotated) throw noKey(id, 'be rotated');
  const [text, key] = rotated;
  await record([key], 'keys.rotate', database, settings, { replaces: old.id });
  show(text, key, isJson, io);
  const ends = overlapDays === 0 ? 'has ended' : `works until ${toDay(Math.min(old.expiresAt, untilMs))}`;
  io.err(`The old key, ${old.id}, ${ends}.`);
  return EXIT.ok;
}

function noKey(id: string, could: string): FrameError {
  const hint = '`frame keys list` shows them.';
  return new FrameError('args/invalid', `There is no key \`${plain(id)}\` that could ${could}.`, { hint });
}

/** The key alone on standard output, so that it can go straight to where it is kept. */
function show(text: string, key: StoredApiKey, isJson: boolean, io: Io): void {
  io.out(isJson ? JSON.stringify({ ...toJson(key), key: text }) : text);
  if (isJson) return;
  const { role, customer, entity, environment, expiresAt } = key;
  io.err(`Key ${key.id}: ${role} on ${customer}/${entity}:${environment}, until ${toDay(expiresAt)}.`);
  io.err('This is the only time that it is shown.');
}

async function readCustomersOf({ customersFile, roles }: Settings, { env }: Io) {
  return await readCustomers(customersFile, { roles: new Set(roles.keys()), env });
}

/** Keys that can do everything live shorter. */
function daysOf({ roles }: Settings, role: string): number {
  return roles.get(role)?.has('*') ? 30 : 90;
}

function explainMissingPlace(thrown: unknown): never {
  if ((thrown as { code?: string }).code !== FOREIGN_KEY_VIOLATION) throw thrown;
  throw new FrameError('key/no-such-place', 'This entity and environment is not in the database yet.', {
    hint: 'Run `frame migrate` first.',
  });
}

const FOREIGN_KEY_VIOLATION = '23503';

async function record(
  keys: readonly StoredApiKey[],
  tool: string,
  database: OpenDatabase,
  settings: Settings,
  more: Record<string, unknown> = {},
): Promise<void> {
  const audit = openAudit(settings, database);
  const requestId = randomUUID();
  await Promise.all(
    keys.map(({ id, name, role, customer, entity, environment }) =>
      audit.append({
        at: Date.now(),
        requestId,
        customer,
        entity,
        environment,
        actor: { system: 'operator' },
        tool,
        phase: 'call',
        outcome: 'ok',
        arguments: { key: id, name, role, by: operatorName(), ...more },
      }),
    ),
  );
  await audit.close();
}

function toJson(key: StoredApiKey) {
  const iso = (time: number | undefined) => (time === undefined ? null : new Date(time).toISOString());
  return {
    id: key.id,
    name: key.name,
    customer: key.customer,
    entity: key.entity,
    environment: key.environment,
    role: key.role,
    created: iso(key.createdAt),
    created_by: key.createdBy,
    expires: iso(key.expiresAt),
    revoked: iso(key.revokedAt),
    revoked_why: key.revokedWhy ?? null,
    replaced_by: key.replacedBy ?? null,
    last_used: iso(key.lastUsedAt),
    last_used_from: key.lastUsedFrom ?? null,
    networks: key.networks ?? null,
  };
}

function toTable(keys: readonly StoredApiKey[], now: number): string[] {
  const rows = keys.map(key => [
    key.id,
    `${key.customer}/${key.entity}:${key.environment}`,
    key.role,
    stateOf(key, now),
    key.lastUsedAt === undefined ? 'never used' : `used ${toDay(key.lastUsedAt)} from ${key.lastUsedFrom ?? '?'}`,
    key.name,
  ]);
  return inColumns([['KEY', 'FOR', 'ROLE', 'STATE', 'LAST USE', 'NAME'], ...rows].map(row => row.map(plain)));
}

function stateOf({ revokedAt, revokedWhy, expiresAt, replacedBy }: StoredApiKey, now: number): string {
  if (revokedAt !== undefined) return `revoked ${toDay(revokedAt)} (${revokedWhy})`;
  if (expiresAt <= now) return `expired ${toDay(expiresAt)}`;
  return `until ${toDay(expiresAt)}${replacedBy ? `, then ${replacedBy}` : ''}`;
}

function toDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

function operatorName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'operator';
  }
}
