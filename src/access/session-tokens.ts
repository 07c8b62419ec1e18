import { z } from 'zod';
import { Secret } from '../secret.ts';
import { createKeyring, type Keyring } from '../vault/keyring.ts';
import { digestOf, makeSecretText } from './secret-text.ts';
import { type SignInSession, toSession } from './session.ts';
import { REVOCATIONS, type Run } from './sessions.ts';

/** What a client holds of a session: an access token for minutes, a refresh token for one exchange. */
export interface TokenPair {
  accessToken: string;
  refreshToken: string;
  /** Of the access token; the refresh token keeps all that the session has. */
  scopes: readonly string[];
  /** Of the access token, in milliseconds since 1970. */
  expiresAt: number;
}

export interface TokenLives {
  accessMinutes: number;
  refreshDays: number;
}

export interface StoredToken {
  kind: 'access' | 'refresh';
  session: SignInSession;
  scopes: readonly string[];
  /** Milliseconds since 1970. */
  expiresAt: number;
  /** When a refresh token was exchanged. */
  usedAt: number | undefined;
  /** For what, sealed; see openAnswer(). */
  answer: string | undefined;
}

/** Neither outlives the session. */
export async function issueTokens(
  run: Run,
  session: SignInSession,
  scopes: readonly string[],
  { accessMinutes, refreshDays }: TokenLives,
  nowMs: number,
): Promise<TokenPair> {
  const accessToken = makeSecretText('access');
  const refreshToken = makeSecretText('refresh');
  const expiresAt = Math.min(nowMs + accessMinutes * 60_000, session.expiresAt);
  const refreshExpiresAt = Math.min(nowMs + refreshDays * 86_400_000, session.expiresAt);
  const access = [digestOf(accessToken), JSON.stringify(scopes), expiresAt];
  const refresh = [digestOf(refreshToken), JSON.stringify(session.scopes), refreshExpiresAt];
  await run(INSERT, [session.id, nowMs, ...access, ...refresh]);
  return { accessToken, refreshToken, scopes, expiresAt };
}

export async function findToken(run: Run, token: string): Promise<StoredToken | undefined> {
  const { rows } = await run(FIND, [digestOf(token)]);
  return rows[0] && toToken(rows[0]);
}

/**
 * Until the transaction ends, nobody else exchanges a token of the same session. It takes two statements: what the first
 * had to wait for is only seen by a later one.
 */
export async function lockToken(run: Run, token: string): Promise<StoredToken | undefined> {
  await run(LOCK, [digestOf(token)]);
  return findToken(run, token);
}

/** Keeps what a refresh token was exchanged for, so that only who presents the token again can read it. */
export async function markExchanged(
  run: Run,
  token: string,
  session: SignInSession,
  answer: TokenPair,
  nowMs: number,
): Promise<void> {
  await run(MARK, [digestOf(token), nowMs, sealerOf(token).seal(SEALED_FOR, session.id, answer)]);
}

/** What this token was exchanged for; undefined when it was not, or when that is forgotten. */
export function openAnswer(token: string, { session, answer }: StoredToken): TokenPair | undefined {
  if (answer === undefined) return undefined;
  return Pair.safeParse(sealerOf(token).open(SEALED_FOR, session.id, answer)).data;
}

/** Ends one access token, here and on every other gateway; its session goes on. */
export async function revokeAccessToken(run: Run, token: string): Promise<void> {
  await run(REVOKE, [digestOf(token)]);
}

// Private

const SEALED_FOR = 'refresh-answer';

const Pair = z.object({
  accessToken: z.string(),
  refreshToken: z.string(),
  scopes: z.array(z.string()),
  expiresAt: z.number(),
});

const text = z.string();
const scopes = text.transform(json => z.array(text).parse(JSON.parse(json)));
const Row = z.tuple([z.enum(['access', 'refresh']), text, scopes, z.number(), z.number().nullable(), text.nullable()]);

function toToken(row: unknown[]): StoredToken {
  const [kind, session, scopes, expiresAt, usedAt, answer] = Row.parse(row);
  return {
    kind,
    session: toSession(session),
    scopes,
    expiresAt,
    usedAt: usedAt ?? undefined,
    answer: answer ?? undefined,
  };
}

/** Its key is derived from the token, which we keep only a digest of: a dump of the database opens no answer. */
function sealerOf(token: string): Keyring {
  return createKeyring(new Secret(Buffer.from(token)));
}

const INSERT = `
  insert into frame.oauth_tokens (session_id, issued_at, kind, token_hash, scopes, expires_at)
  select $1::uuid, to_timestamp($2::float8 / 1000), kind, token_hash::bytea,
    array(select json_array_elements_text(scopes::json)), to_timestamp(expires_at::float8 / 1000)
  from (values ('access', $3, $4, $5), ('refresh', $6, $7, $8)) as token (kind, token_hash, scopes, expires_at)`;

const FIND = `
  select t.kind, row_to_json(s)::text, to_json(t.scopes)::text, (extract(epoch from t.expires_at) * 1000)::float8,
    (extract(epoch from t.used_at) * 1000)::float8, t.answer
  from frame.oauth_tokens t join frame.oauth_sessions s on s.id = t.session_id
  where t.token_hash = $1::bytea`;

const LOCK = `
  select from frame.oauth_sessions
  where id = (select session_id from frame.oauth_tokens where token_hash = $1::bytea)
  for update`;

const MARK = `
  update frame.oauth_tokens set used_at = to_timestamp($2::float8 / 1000), answer = $3 where token_hash = $1::bytea`;

const REVOKE = `
  with revoked as (delete from frame.oauth_tokens where token_hash = $1::bytea and kind = 'access' returning session_id)
  select pg_notify('${REVOCATIONS}', session_id::text) from revoked`;
