import { createHash, randomBytes } from 'node:crypto';
import { EncryptJWT, errors, jwtDecrypt } from 'jose';
import { z } from 'zod';
import { EntraError } from './entra-error.ts';
import type { RequestedScopes } from './scopes.ts';
import type { Platform } from './tenant.ts';

/** What somebody agreed to, until a client redeems it. */
export interface SignIn {
  tenantId: string;
  objectId: string;
  clientId: string;
  platform: Platform;
  scopes: RequestedScopes;
}

export interface CodeFacts extends SignIn {
  redirectUri: string;
  challenge: string | undefined;
  nonce: string | undefined;
}

export interface Codes {
  issue(facts: CodeFacts): string;
  /** The facts of a code for whoever it was issued to. Throws what Entra says otherwise. */
  find(code: string, proof: CodeProof): CodeFacts;
  /** A code is good once. */
  spend(code: string): void;
}

export interface CodeProof {
  tenantId: string;
  clientId: string;
  redirectUri: string;
  verifier: string | undefined;
}

export function createCodes(now: () => number): Codes {
  const codes = new Map<string, IssuedCode>();
  const get = (code: string) => {
    const issued = codes.get(code);
    if (!issued) throw new EntraError(70000, 'Provided grant is invalid or malformed.');
    return issued;
  };
  return {
    issue(facts) {
      for (const [code, { expiresAt }] of codes) if (expiresAt + FORGET_CODE_MS < now()) codes.delete(code);
      const code = `1.${randomBytes(48).toString('base64url')}`;
      codes.set(code, { facts, expiresAt: now() + CODE_MS, isSpent: false });
      return code;
    },
    find(code, proof) {
      const { facts, expiresAt } = get(code);
      checkProof(facts, proof);
      if (expiresAt <= now()) throw new EntraError(70008, 'The provided authorization code has expired.');
      return facts;
    },
    spend(code) {
      const issued = get(code);
      if (issued.isSpent) throw new EntraError(54005, 'OAuth2 Authorization code was already redeemed.');
      issued.isSpent = true;
    },
  };
}

/** Refresh tokens hold what they stand for, sealed: they survive a restart and, as Entra's, the next refresh. */
export async function sealRefreshToken(signIn: SignIn, key: Uint8Array, nowMs: number): Promise<string> {
  const days = signIn.platform === 'spa' ? 1 : 90;
  return new EncryptJWT(SealedSignIn.parse({ signIn }))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .setExpirationTime(Math.floor(nowMs / 1000) + days * 86_400)
    .setJti(randomBytes(16).toString('base64url'))
    .encrypt(key);
}

export async function openRefreshToken(token: string, key: Uint8Array, nowMs: number): Promise<SignIn> {
  try {
    const { payload } = await jwtDecrypt(token, key, { currentDate: new Date(nowMs) });
    return SealedSignIn.parse(payload).signIn;
  } catch (failure) {
    if (failure instanceof errors.JWTExpired) {
      throw new EntraError(700082, 'The refresh token has expired due to inactivity.');
    }
    throw new EntraError(9002313, 'Invalid request. Request is malformed or invalid.');
  }
}

// Private

interface IssuedCode {
  facts: CodeFacts;
  expiresAt: number;
  isSpent: boolean;
}

const CODE_MS = 60_000;
/** A code that was redeemed is told from one that never was for this long. */
const FORGET_CODE_MS = 600_000;

const SealedSignIn = z.object({
  signIn: z.object({
    tenantId: z.string(),
    objectId: z.string(),
    clientId: z.string(),
    platform: z.enum(['web', 'spa', 'native']),
    scopes: z.object({
      resource: z.string().optional(),
      names: z.array(z.string()),
      openid: z.boolean(),
      email: z.boolean(),
      offlineAccess: z.boolean(),
    }),
  }),
});

function checkProof(facts: CodeFacts, { tenantId, clientId, redirectUri, verifier }: CodeProof): void {
  if (facts.tenantId !== tenantId || facts.clientId !== clientId) {
    throw new EntraError(70000, 'Provided grant is invalid or malformed.');
  }
  if (facts.redirectUri !== redirectUri) {
    throw new EntraError(
      500112,
      `The reply address '${redirectUri}' does not match the reply address provided when requesting the authorization code.`,
    );
  }
  const digest = verifier && createHash('sha256').update(verifier).digest('base64url');
  if (facts.challenge !== digest) {
    throw new EntraError(
      501481,
      'The Code_Verifier does not match the code_challenge supplied in the authorization request.',
    );
  }
}
