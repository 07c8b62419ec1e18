import { randomUUID } from 'node:crypto';
import type { SignInSession } from '../../access/session.ts';
import { type LiveSession, listSessions, revokeSessions, runOn, type SessionFilter } from '../../access/sessions.ts';
import { readSettings, type Settings } from '../../config/settings.ts';
import { defineCommand, EXIT, type Io, WrongUsage } from '../command.ts';
import { joinDatabase, type OpenDatabase } from '../open-database.ts';
import { openAudit } from '../record-deed.ts';
import { inColumns } from '../remote/measure.ts';
import { plain } from '../remote/plain.ts';

/** Who is signed in through the gateway, and their end. */
export const sessionsCommand = defineCommand({
  usage: `Usage: frame sessions list [--person EMAIL] [--client ID] [--customer ID] [options]
       frame sessions revoke <session> | --person EMAIL | --client ID | --all --customer ID [options]

Lists who is signed in through the gateway (sign_in: broker), with which program, since when, when they last used it, and
until when they stay signed in without using it. revoke ends sessions, on every running gateway within a second: the
program has to sign in again. Exit code 1 when there was nothing to revoke.
  --person EMAIL      by sign-in name
  --client ID         by program: its client id
  --all               everybody of the customer that --customer names`,
  options: { person: { type: 'string' }, client: { type: 'string' }, all: { type: 'boolean', default: false } },
  words: { least: 1, most: 2 },
  async run({ words: [verb, id], values: { person, client, all }, flags, isJson }, io) {
    const settings = await readSettings(io.env, flags, io.cwd);
    const filter = { id, username: person, clientId: client, customer: settings.customer };
    if (verb === 'list' && id === undefined && !all) return list(settings, filter, isJson, io);
    if (verb !== 'revoke') throw new WrongUsage(`\`sessions ${verb}\` does not go like that.`);
    if (all && flags.customer === undefined) throw new WrongUsage('--all goes with --customer.');
    if ([id, person, client, all || undefined].filter(given => given !== undefined).length !== 1) {
      throw new WrongUsage('Name one session, or one of --person, --client and --all.');
    }
    if (id !== undefined && !UUID.test(id))
      throw new WrongUsage(`\`${id}\` is no session: \`sessions list\` has them.`);
    return revoke(settings, filter, isJson, io);
  },
});

// Private

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

async function list(settings: Settings, filter: SessionFilter, isJson: boolean, io: Io): Promise<number> {
  await using database = await joinDatabase(settings);
  const sessions = await listSessions(runOn(database.pools), filter, Date.now());
  if (isJson) io.out(JSON.stringify(sessions.map(toJson)));
  else if (sessions.length === 0) io.err('Nobody is signed in.');
  else for (const line of toTable(sessions)) io.out(line);
  return EXIT.ok;
}

async function revoke(settings: Settings, filter: SessionFilter, isJson: boolean, io: Io): Promise<number> {
  await using database = await joinDatabase(settings);
  const revoked = await revokeSessions(runOn(database.pools), filter, 'revoked-by-operator', Date.now());
  if (isJson) io.out(JSON.stringify(revoked.map(({ id }) => id)));
  else for (const { id, person, client } of revoked) io.out(plain(`revoked ${id}  ${person.username}  ${client.name}`));
  await record(revoked, database, settings);
  if (revoked.length === 0) io.err('Nobody is signed in like that.');
  return revoked.length > 0 ? EXIT.ok : EXIT.failed;
}

async function record(revoked: readonly SignInSession[], database: OpenDatabase, settings: Settings): Promise<void> {
  const audit = openAudit(settings, database, revoked.length);
  const requestId = randomUUID();
  await Promise.all(
    revoked.map(({ id, customer, person, client }) =>
      audit.append({
        at: Date.now(),
        requestId,
        customer,
        actor: { system: 'operator' },
        client: client.name,
        tool: 'sign_in.revoke',
        phase: 'call',
        outcome: 'ok',
        arguments: { session: id, client_id: client.id, object_id: person.objectId },
      }),
    ),
  );
  await audit.close();
}

function toJson({ id, customer, person, client, scopes, createdAt, lastUsedAt, idleUntil, expiresAt }: LiveSession) {
  const iso = (time: number) => new Date(time).toISOString();
  return {
    session: id,
    customer,
    username: person.username,
    name: person.name,
    object_id: person.objectId,
    client: client.name,
    client_id: client.id,
    client_host: client.host ?? null,
    scopes,
    since: iso(createdAt),
    last_used: iso(lastUsedAt),
    idle_until: iso(idleUntil),
    until: iso(expiresAt),
  };
}

function toTable(sessions: readonly LiveSession[]): string[] {
  const rows = sessions.map(({ id, customer, person, client, scopes, createdAt, lastUsedAt, idleUntil }) => [
    id,
    customer,
    person.username,
    `${client.name} (${client.host ?? 'unverified'})`,
    scopes.join(' '),
    ...[createdAt, lastUsedAt, idleUntil].map(toMinute),
  ]);
  const all = [['SESSION', 'CUSTOMER', 'PERSON', 'CLIENT', 'SCOPE', 'SINCE', 'LAST USED', 'UNTIL'], ...rows];
  return inColumns(all.map(row => row.map(plain)));
}

/** `2026-11-20 12:00Z` */
function toMinute(time: number): string {
  return `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')}Z`;
}
