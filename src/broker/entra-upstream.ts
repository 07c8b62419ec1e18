import { z } from 'zod';
import { readAnswer } from '../access/answer.ts';
import { type VerifiedToken, type VerifyMeans, verifyIdToken } from '../access/entra.ts';
import type { Fetch } from '../access/key-set.ts';
import type { Refusal } from '../access/refusal.ts';
import { readToken } from '../access/unverified-token.ts';
import type { Customer, EntraTenant } from '../customers/customer.ts';

/** Frame as a program that signs in at a customer's own Entra: the way there, and what a code that comes back is worth. */
export interface Departure {
  state: string;
  nonce: string;
  codeChallenge: string;
  redirectUri: string;
  loginHint: string | undefined;
}

/** No `resource`: Entra refuses it (AADSTS9010010). */
export function upstreamUrl({ entra }: Customer, departure: Departure): string {
  const url = new URL(`${entra.authority}/${entra.tenantId}/oauth2/v2.0/authorize`);
  url.search = new URLSearchParams({
    client_id: entra.clientId ?? '',
    response_type: 'code',
    redirect_uri: departure.redirectUri,
    scope: SCOPE,
    state: departure.state,
    nonce: departure.nonce,
    code_challenge: departure.codeChallenge,
    code_challenge_method: 'S256',
    prompt: 'select_account',
    ...(departure.loginHint && { login_hint: departure.loginHint }),
  }).toString();
  return url.href;
}

export interface Redemption {
  code: string;
  codeVerifier: string;
  redirectUri: string;
  nonce: string;
}

/** `upstream-failed`: Entra cannot be reached, or does not honour the code. */
export type UpstreamRefusal = Refusal | { refused: 'upstream-failed'; detail: string };

/** Redeems the code, server to server, and checks who it is about. */
export async function identify(
  { entra }: Customer,
  { code, codeVerifier, redirectUri, nonce }: Redemption,
  means: UpstreamMeans,
): Promise<VerifiedToken | UpstreamRefusal> {
  const idToken = await redeem(entra, { code, code_verifier: codeVerifier, redirect_uri: redirectUri }, means);
  if (typeof idToken !== 'string') return idToken;
  const unverified = readToken(idToken);
  return 'refused' in unverified ? unverified : verifyIdToken(unverified, entra, nonce, means);
}

export interface UpstreamMeans extends VerifyMeans {
  fetch: Fetch;
  timeoutMs: number;
}

// Private

const SCOPE = 'openid profile';
const MAX_ANSWER_BYTES = 64 * 1024;

const Answer = z.object({ id_token: z.string() });
const Failure = z.object({ error: z.string(), error_codes: z.array(z.number()).optional() });

async function redeem(
  { authority, tenantId, clientId, clientSecret }: EntraTenant,
  form: Record<string, string>,
  { fetch, timeoutMs }: UpstreamMeans,
): Promise<string | UpstreamRefusal> {
  try {
    const response = await fetch(`${authority}/${tenantId}/oauth2/v2.0/token`, {
      method: 'POST',
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
      headers: { Accept: 'application/json' },
      body: new URLSearchParams({
        ...form,
        grant_type: 'authorization_code',
        scope: SCOPE,
        client_id: clientId ?? '',
        client_secret: clientSecret?.reveal() ?? '',
      }),
    });
    const answer: unknown = JSON.parse(await readAnswer(response, MAX_ANSWER_BYTES));
    if (response.ok) return Answer.parse(answer).id_token;
    // Its description would repeat what we sent.
    const { error, error_codes } = Failure.parse(answer);
    return failed([error, ...(error_codes ?? []).map(number => `AADSTS${number}`)].join(' '));
  } catch (thrown) {
    return failed(
      thrown instanceof z.ZodError || thrown instanceof SyntaxError ? 'no answer of Entra' : String(thrown),
    );
  }
}

function failed(detail: string): UpstreamRefusal {
  return { refused: 'upstream-failed', detail };
}
