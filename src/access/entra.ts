import type { KeyObject } from 'node:crypto';
import { compactVerify, errors } from 'jose';
import { z } from 'zod';
import type { EntraTenant } from '../customers/customer.ts';
import { versionOfIssuer } from './issuers.ts';
import type { Refusal } from './refusal.ts';
import type { SigningKeys } from './signing-keys.ts';
import type { UnverifiedToken } from './unverified-token.ts';

/** What a genuine Entra access token says. It says who somebody is, not whether they get in. */
export interface VerifiedToken {
  tenantId: string;
  objectId: string;
  name: string;
  /** The sign-in name; empty when the token has none. Anybody's admin may set it: good for the domain lock only. */
  username: string;
  /** `unknown`: too many for the token, which is not the same as none. */
  groups: readonly string[] | 'unknown';
  appRoles: readonly string[];
  scopes: readonly string[];
  isGuest: boolean;
  /** Milliseconds since 1970. */
  expiresAt: number;
  keyId: string;
  key: KeyObject;
}

export interface VerifyMeans {
  keys: SigningKeys;
  /** Milliseconds since 1970. */
  nowMs: number;
  leewaySeconds: number;
}

/** Checks an access token against one tenant, the only one it may come from. */
export async function verifyToken(
  token: UnverifiedToken,
  tenant: EntraTenant,
  means: VerifyMeans,
): Promise<VerifiedToken | Refusal> {
  return verify(token, tenant, means, claims => checkAudience(claims, tenant.audience) ?? checkActor(claims, tenant));
}

/** Checks an ID token: made by this tenant, for our own sign-in there, and for this one of them (`nonce`). */
export async function verifyIdToken(
  token: UnverifiedToken,
  tenant: EntraTenant,
  nonce: string,
  means: VerifyMeans,
): Promise<VerifiedToken | Refusal> {
  const audience = tenant.clientId === undefined ? [] : [tenant.clientId];
  return verify(token, tenant, means, claims => checkAudience(claims, audience) ?? checkNonce(claims, nonce));
}

// Private

async function verify(
  token: UnverifiedToken,
  tenant: EntraTenant,
  { keys, nowMs, leewaySeconds }: VerifyMeans,
  checkUse: (claims: Claims) => Refusal | undefined,
): Promise<VerifiedToken | Refusal> {
  const key = await keys.find(tenant, token.keyId);
  if (key === 'unknown') return { refused: 'key-unknown' };
  if (key === 'unreachable') return { refused: 'keys-unreachable' };
  const payload = await openSigned(token.text, key);
  if (!payload) return { refused: 'signature-wrong' };
  const { data: claims, error } = Claims.safeParse(payload);
  if (!claims) return { refused: 'claim-malformed', detail: error.issues.map(({ path }) => path.join('.')).join(' ') };
  const refusal = checkOrigin(claims, tenant) ?? checkTime(claims, nowMs / 1000, leewaySeconds) ?? checkUse(claims);
  return refusal ?? { ...toIdentity(claims, tenant), keyId: token.keyId, key };
}

const text = z.string().optional();

const Claims = z.object({
  iss: z.string(),
  aud: z.string(),
  tid: z.string(),
  oid: z.guid().toLowerCase(),
  exp: z.number(),
  nbf: z.number().optional(),
  iat: z.number().optional(),
  ver: text,
  scp: text,
  nonce: text,
  idtyp: text,
  idp: text,
  acct: z.unknown().optional(),
  name: text,
  preferred_username: text,
  upn: text,
  unique_name: text,
  roles: z.array(z.string()).default([]),
  groups: z.array(z.string()).optional(),
  hasgroups: z.unknown().optional(),
  _claim_names: z.looseObject({}).optional(),
});
type Claims = z.infer<typeof Claims>;

async function openSigned(token: string, key: KeyObject): Promise<unknown> {
  try {
    const { payload } = await compactVerify(token, key, { algorithms: ['RS256'] });
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (failure) {
    if (failure instanceof errors.JOSEError || failure instanceof TypeError || failure instanceof SyntaxError)
      return undefined;
    throw failure;
  }
}

function checkOrigin({ iss, ver, tid }: Claims, tenant: EntraTenant): Refusal | undefined {
  const version = versionOfIssuer(tenant, iss);
  if (!version) return { refused: 'wrong-issuer' };
  if (ver !== undefined && ver !== version) return { refused: 'wrong-version' };
  if (tid !== tenant.tenantId) return { refused: 'wrong-tenant' };
  return undefined;
}

function checkAudience({ aud }: Claims, accepted: readonly string[]): Refusal | undefined {
  return accepted.includes(aud) ? undefined : { refused: 'wrong-audience' };
}

/** Access tokens have none, so that none of them passes for an ID token. */
function checkNonce({ nonce }: Claims, expected: string): Refusal | undefined {
  return nonce === expected ? undefined : { refused: 'wrong-nonce' };
}

function checkTime({ exp, nbf, iat }: Claims, nowSeconds: number, leewaySeconds: number): Refusal | undefined {
  if (exp + leewaySeconds <= nowSeconds) return { refused: 'expired' };
  if (Math.max(nbf ?? 0, iat ?? 0) - leewaySeconds > nowSeconds) return { refused: 'not-yet-valid' };
  return undefined;
}

/** A person who let a client act for them: `scp` tells from app-only and ID tokens, which never have one. */
function checkActor({ idtyp, scp }: Claims, { scope }: EntraTenant): Refusal | undefined {
  if (idtyp !== undefined && idtyp !== 'user') return { refused: 'app-only' };
  if (!scp) return { refused: 'scope-absent' };
  if (!toWords(scp).includes(scope)) return { refused: 'scope-missing' };
  return undefined;
}

function toIdentity(claims: Claims, tenant: EntraTenant): Omit<VerifiedToken, 'key' | 'keyId'> {
  const username = claims.preferred_username ?? claims.upn ?? claims.unique_name ?? '';
  return {
    tenantId: claims.tid,
    objectId: claims.oid,
    name: claims.name ?? username,
    username,
    groups: hasTooManyGroups(claims) ? 'unknown' : (claims.groups ?? []),
    appRoles: claims.roles,
    scopes: toWords(claims.scp ?? ''),
    isGuest: isGuest(claims, tenant),
    expiresAt: claims.exp * 1000,
  };
}

/** Past 200 groups Entra sends a pointer to Graph instead, which we do not follow. */
function hasTooManyGroups({ hasgroups, _claim_names }: Claims): boolean {
  return hasgroups !== undefined || (_claim_names !== undefined && Object.hasOwn(_claim_names, 'groups'));
}

/** Any one sign is enough: `acct` is an optional claim, and names alone can be changed. */
function isGuest({ acct, idp, preferred_username, upn, unique_name }: Claims, tenant: EntraTenant): boolean {
  if (acct !== undefined && acct !== 0) return true;
  if (idp !== undefined && !versionOfIssuer(tenant, idp)) return true;
  return [preferred_username, upn, unique_name].some(name => name?.toUpperCase().includes('#EXT#'));
}

function toWords(scp: string): string[] {
  return scp.split(' ').filter(word => word !== '');
}
