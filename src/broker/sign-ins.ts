import { z } from 'zod';
import { digestOf } from '../access/secret-text.ts';
import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { newSecret } from './browser.ts';

/**
 * Sign-ins on their way through our pages and Entra, in `oauth_sign_ins`. Each belongs to one browser and one origin; one
 * that is over, or in other hands, is not there. Ids and states are kept as hashes.
 */
export interface SignIns {
  /** Resolves to the id: who has it and the browser's cookie may go on. */
  begin(request: SignInRequest, at: Holder): Promise<string>;
  find(id: string, at: Holder): Promise<SignIn | undefined>;
  /** The work e-mail has told which customer. */
  choose(id: string, at: Holder, customer: string, loginHint: string): Promise<SignIn | undefined>;
  /** The person agreed. Again is fine: the way back that was open before is closed then. */
  agree(id: string, at: Holder, agreement: Agreement): Promise<SignIn | undefined>;
  /** The person cancelled: it ends. */
  drop(id: string, at: Holder): Promise<SignIn | undefined>;
  /** Ends it, whoever brings back this state: it cannot be tried twice. */
  take(upstreamState: string): Promise<Returned | undefined>;
  /** Deletes what nobody came back for. */
  sweep(): Promise<void>;
}

export interface SignInRequest {
  customer: string | undefined;
  clientId: string;
  clientName: string;
  clientHost: string | undefined;
  redirectUri: string;
  state: string | undefined;
  codeChallenge: string;
  resource: string;
  /** What the client asked for. */
  scopes: readonly string[];
}

/** Whose browser, at which of our origins. */
export interface Holder {
  proofHash: string;
  origin: string;
}

export interface SignIn extends SignInRequest {
  loginHint: string | undefined;
}

export interface Agreement {
  scopes: readonly string[];
  upstreamState: string;
  /** Sealed. */
  upstream: string;
}

/** A sign-in that came back; whether it may go on is for the caller to check. */
export interface Returned extends SignIn, Holder {
  agreedScopes: readonly string[];
  upstream: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

export interface SignInsParts {
  pools: Pick<Pools, 'query'>;
  /** Milliseconds since 1970. */
  now(): number;
  transactionMinutes: number;
}

export function createSignIns({ pools, now, transactionMinutes }: SignInsParts): SignIns {
  async function one(statement: string, params: readonly unknown[]): Promise<Row | undefined> {
    const { rows } = await pools.query(CONTROL_LOGIN, statement, params);
    return rows[0] && Row.parse(JSON.parse(String(rows[0][0])));
  }

  /** A sign-in that is not over, in the hands of its browser: `$1` to `$4` of every statement with HELD. */
  async function held(statement: string, id: string, { proofHash, origin }: Holder, ...more: unknown[]) {
    const row = await one(statement, [digestOf(id), proofHash, origin, toTime(now()), ...more]);
    return row && toSignIn(row);
  }

  return {
    async begin(request, { proofHash, origin }) {
      const id = newSecret();
      const row = {
        id_hash: digestOf(id),
        cookie_hash: proofHash,
        origin,
        customer: request.customer,
        client_id: request.clientId,
        client_name: request.clientName,
        client_host: request.clientHost,
        redirect_uri: request.redirectUri,
        client_state: request.state,
        code_challenge: request.codeChallenge,
        resource: request.resource,
        scopes: request.scopes,
        expires_at: toTime(now() + transactionMinutes * 60_000),
      };
      const columns = Object.keys(row).join(', ');
      await pools.query(
        CONTROL_LOGIN,
        `insert into ${TABLE} (${columns}) select ${columns} from json_populate_record(null::${TABLE}, $1::json)`,
        [JSON.stringify(row)],
      );
      return id;
    },
    find: (id, at) => held(`select row_to_json(s) from ${TABLE} s where ${HELD}`, id, at),
    choose: (id, at, customer, loginHint) =>
      held(
        `update ${TABLE} s set customer = $5, login_hint = $6 where ${HELD} returning row_to_json(s)`,
        id,
        at,
        customer,
        loginHint,
      ),
    agree: (id, at, { scopes, upstreamState, upstream }) =>
      held(
        `update ${TABLE} s set upstream_state_hash = $5::bytea, upstream = $6,
           agreed_scopes = array(select json_array_elements_text($7::json))
         where ${HELD} and customer is not null returning row_to_json(s)`,
        id,
        at,
        digestOf(upstreamState),
        upstream,
        JSON.stringify(scopes),
      ),
    drop: (id, at) => held(`delete from ${TABLE} s where ${HELD} returning row_to_json(s)`, id, at),
    async take(upstreamState) {
      const statement = `delete from ${TABLE} s where upstream_state_hash = $1::bytea returning row_to_json(s)`;
      const row = await one(statement, [digestOf(upstreamState)]);
      return row && toReturned(row);
    },
    async sweep() {
      await pools.query(CONTROL_LOGIN, `delete from ${TABLE} where expires_at < $1::timestamptz`, [toTime(now())]);
    },
  };
}

// Private

const TABLE = 'frame.oauth_sign_ins';
const HELD = 'id_hash = $1::bytea and cookie_hash = $2::bytea and origin = $3 and expires_at > $4::timestamptz';

const text = z.string();
const perhaps = text.nullable().transform(value => value ?? undefined);
const Row = z.object({
  customer: perhaps,
  origin: text,
  client_id: text,
  client_name: text,
  client_host: perhaps,
  redirect_uri: text,
  client_state: perhaps,
  code_challenge: text,
  resource: text,
  scopes: z.array(text),
  agreed_scopes: z.array(text).nullable(),
  login_hint: perhaps,
  cookie_hash: text,
  upstream: perhaps,
  expires_at: text,
});
type Row = z.output<typeof Row>;

function toSignIn(row: Row): SignIn {
  return {
    customer: row.customer,
    clientId: row.client_id,
    clientName: row.client_name,
    clientHost: row.client_host,
    redirectUri: row.redirect_uri,
    state: row.client_state,
    codeChallenge: row.code_challenge,
    resource: row.resource,
    scopes: row.scopes,
    loginHint: row.login_hint,
  };
}

function toReturned(row: Row): Returned {
  return {
    ...toSignIn(row),
    origin: row.origin,
    proofHash: row.cookie_hash,
    agreedScopes: row.agreed_scopes ?? [],
    upstream: row.upstream ?? '',
    expiresAt: Date.parse(row.expires_at),
  };
}

function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
