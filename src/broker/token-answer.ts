import type { TokenPair } from '../access/session-tokens.ts';

/** RFC 6749 §5.1. A repeated answer differs in `expires_in` only. */
export function tokenAnswer({ accessToken, refreshToken, scopes, expiresAt }: TokenPair, nowMs: number): Response {
  const answer = {
    access_token: accessToken,
    token_type: 'Bearer',
    expires_in: Math.max(0, Math.floor((expiresAt - nowMs) / 1000)),
    refresh_token: refreshToken,
    scope: scopes.join(' '),
  };
  return Response.json(answer, { headers: { 'Cache-Control': 'no-store', Pragma: 'no-cache' } });
}
