import { hash } from 'node:crypto';
import type { AuditEntry } from '../../src/audit/audit.ts';
import type { Asked, Site } from '../../src/broker/asked.ts';
import { createGrants, type Grant, type Grants, type GrantsParts } from '../../src/broker/grants.ts';
import { toOAuthError, toOAuthResponse } from '../../src/broker/oauth-error.ts';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import type { ServerAddress } from '../../src/database/socket.ts';
import { recordObservations, sampleCustomer } from '../access/fixtures.ts';
import { ADA, openSignInDatabase, RESOURCE, type SignInDatabase } from '../access/sign-in-database.ts';

export const REDIRECT = 'https://claude.ai/api/mcp/auth_callback';
export const VERIFIER = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';

/** As many as two gateways have for this. */
export const CONNECTIONS_OF_TWO = 2 * DEFAULT_GATEWAY_CONFIG.pools.rw;

export const GRANT: Grant = {
  ...ADA,
  redirectUri: REDIRECT,
  codeChallenge: hash('sha256', VERIFIER, 'base64url'),
};

/** The token endpoint as clients see it, on a database with a clock that stands still. */
export interface TestBroker {
  database: SignInDatabase;
  observations: ReturnType<typeof recordObservations>;
  /** What the audit got. */
  recorded: AuditEntry[];
  touched: string[];
  grants: Grants;
  /** Another gateway on the same database, or the same with other parts. */
  openGrants(changes?: Partial<GrantsParts>, address?: ServerAddress): Grants;
  close(): Promise<void>;
}

export async function openTestBroker(): Promise<TestBroker> {
  const database = await openSignInDatabase();
  const observations = recordObservations();
  const recorded: AuditEntry[] = [];
  const touched: string[] = [];
  const openGrants: TestBroker['openGrants'] = (changes = {}, address) =>
    createGrants({
      pools: database.openPools(address, { acquireTimeoutMs: 20_000 }),
      clients: { touch: id => void touched.push(id), isGone: async () => false },
      audit: { append: async entry => void recorded.push(entry) },
      now: () => database.clock.now,
      observe: observations.observe,
      limits: DEFAULT_GATEWAY_CONFIG.signIn,
      ...changes,
    });
  return { database, observations, recorded, touched, grants: openGrants(), openGrants, close: database.close };
}

/**
 * Starts `work` while a row is locked, and lets go when so many connections wait for it: then all of them are past what
 * they read before, and race.
 */
export async function raceFor<T>(
  { database }: TestBroker,
  row: { select: string; digest: string },
  contenders: number,
  work: () => Promise<T>,
): Promise<T> {
  const [holder, observer] = [await database.connectAsRoot(), await database.connectAsRoot()];
  await holder.query('begin');
  const { count } = await holder.query(`${row.select} for update`, [row.digest]);
  if (count !== 1) throw new Error('there is no such row');
  const done = work();
  let waiting = 0;
  while (waiting < contenders) {
    const { rows } = await observer.query(
      "select count(*)::int4 from pg_stat_activity where usename = 'frame_control' and wait_event_type = 'Lock'",
    );
    waiting = Number(rows[0]?.[0]);
  }
  await holder.query('rollback');
  return done;
}

export const SITE: Site = { origin: 'https://axe.example', customers: [sampleCustomer({ signIn: 'broker' })] };

export interface Reply {
  status: number;
  headers: Headers;
  text: string;
  json: Record<string, unknown>;
}

export type Form = Record<string, string | undefined> | URLSearchParams;

/** What routes.ts makes of a request, with its errors turned into answers. */
export async function post(
  handle: (asked: Asked) => Promise<Response>,
  form: Form,
  headers: Record<string, string> = {},
  site: Site = SITE,
): Promise<Reply> {
  const entries = form instanceof URLSearchParams ? [...form] : Object.entries(form);
  const sent = entries.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  const asked = {
    headers: new Headers(headers),
    parameters: new URLSearchParams(sent),
    site,
    requestId: 'r-1',
    from: '127.0.0.1',
  };
  const response = await handle(asked).catch(thrown => toOAuthResponse(toOAuthError(thrown)));
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: text === '' ? {} : JSON.parse(text) };
}

export function codeForm(code: string, changes: Record<string, string | undefined> = {}) {
  return {
    grant_type: 'authorization_code',
    client_id: 'client-1',
    code,
    redirect_uri: REDIRECT,
    code_verifier: VERIFIER,
    resource: RESOURCE,
    ...changes,
  };
}

export function refreshForm(refreshToken: unknown, changes: Record<string, string | undefined> = {}) {
  return { grant_type: 'refresh_token', client_id: 'client-1', refresh_token: String(refreshToken), ...changes };
}
