import { isSecretText } from '../access/secret-text.ts';
import type { SignInSession } from '../access/session.ts';
import { findToken, revokeAccessToken } from '../access/session-tokens.ts';
import { type Run, revokeSessions } from '../access/sessions.ts';
import type { Asked } from './asked.ts';
import { readClientId, readParameters, required } from './grant-request.ts';

/** POST /revoke (RFC 7009), read. The hint about the kind of token is not needed. */
export interface Revocation {
  token: string;
  /** Whoever has a token may end it, so nobody has to say who they are; but who does must be right. */
  clientId: string | undefined;
}

export function readRevocation({ headers, parameters: sent }: Asked): Revocation {
  const parameters = readParameters(sent);
  return { token: required(parameters, 'token'), clientId: readClientId(headers, parameters) };
}

/** Whether there is anything to end: one read. */
export async function isKnown(run: Run, token: string): Promise<boolean> {
  return (
    (isSecretText('refresh', token) || isSecretText('access', token)) && (await findToken(run, token)) !== undefined
  );
}

/**
 * A refresh token ends its session and all that came of it, an access token itself only. Undefined when nothing was ended,
 * which the client is not told (RFC 7009 §2.2).
 */
export async function revoke(
  run: Run,
  { token, clientId }: Revocation,
  nowMs: number,
): Promise<SignInSession | undefined> {
  const found = await findToken(run, token);
  if (!found || (clientId !== undefined && clientId !== found.session.client.id)) return undefined;
  if (found.kind === 'refresh') {
    const [ended] = await revokeSessions(run, { id: found.session.id }, 'revoked-by-client', nowMs);
    return ended;
  }
  await revokeAccessToken(run, token);
  return found.session;
}
