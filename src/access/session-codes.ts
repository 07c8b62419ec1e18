import { digestOf, makeSecretText } from './secret-text.ts';
import { type SignInSession, toSession } from './session.ts';
import type { Run } from './sessions.ts';

/** What a client gets for a person's agreement, and exchanges for the first tokens: once, with the proof that it asked. */
export interface CodeFacts {
  clientId: string;
  redirectUri: string;
  /** PKCE, S256. */
  codeChallenge: string;
}

export interface StoredCode extends Omit<CodeFacts, 'clientId'> {
  session: SignInSession;
  /** Milliseconds since 1970. */
  expiresAt: number;
  isUsed: boolean;
}

/** Resolves to the code itself, which is kept nowhere. */
export async function addCode(run: Run, sessionId: string, facts: CodeFacts, expiresAt: number): Promise<string> {
  const code = makeSecretText('code');
  const { clientId, redirectUri, codeChallenge } = facts;
  await run(INSERT, [digestOf(code), sessionId, clientId, redirectUri, codeChallenge, expiresAt]);
  return code;
}

export async function findCode(run: Run, code: string): Promise<StoredCode | undefined> {
  const { rows } = await run(FIND, [digestOf(code)]);
  const [row] = rows;
  if (!row) return undefined;
  const [session, redirectUri, codeChallenge, expiresAt, isUsed] = row;
  return {
    session: toSession(session),
    redirectUri: String(redirectUri),
    codeChallenge: String(codeChallenge),
    expiresAt: Number(expiresAt),
    isUsed: isUsed === true,
  };
}

/** True for one caller only, however many try at once. */
export async function takeCode(run: Run, code: string, nowMs: number): Promise<boolean> {
  const { count } = await run(TAKE, [digestOf(code), nowMs]);
  return count === 1;
}

// Private

const INSERT = `
  insert into frame.oauth_codes (code_hash, session_id, client_id, redirect_uri, code_challenge, expires_at)
  values ($1::bytea, $2::uuid, $3, $4, $5, to_timestamp($6::float8 / 1000))`;

const FIND = `
  select row_to_json(s)::text, c.redirect_uri, c.code_challenge,
    (extract(epoch from c.expires_at) * 1000)::float8, c.used_at is not null
  from frame.oauth_codes c join frame.oauth_sessions s on s.id = c.session_id
  where c.code_hash = $1::bytea`;

const TAKE = `
  update frame.oauth_codes set used_at = to_timestamp($2::float8 / 1000)
  where code_hash = $1::bytea and used_at is null returning session_id`;
