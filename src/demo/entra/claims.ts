import { createHash, randomBytes } from 'node:crypto';
import type { RequestedScopes } from './scopes.ts';
import type { StandInPerson, StandInTenant } from './tenant.ts';

/** What Entra writes into its tokens. Pure: signing is tenant-keys.ts. */
export const TOKEN_SECONDS = 3600;

export interface Grant {
  tenant: StandInTenant;
  person: StandInPerson;
  clientId: string;
  scopes: RequestedScopes;
}

export function v2Issuer(authority: string, tenantId: string): string {
  return `${authority}/${tenantId}/v2.0`;
}

export function v1Issuer(authority: string, tenantId: string): string {
  return `${authority}/${tenantId}/`;
}

export function accessTokenClaims(authority: string, grant: Grant, nowMs: number): Record<string, unknown> {
  const { tenant, person, clientId, scopes } = grant;
  const common = {
    ...lifetime(nowMs),
    acct: person.guest ? 1 : 0,
    ...(person.guest && { idp: CONSUMER_ISSUER }),
    ...groupClaims(person),
    ...(person.appRoles && { roles: person.appRoles }),
    name: person.name,
    oid: person.objectId,
    scp: scopes.resource === undefined ? 'openid profile email' : scopes.names.join(' '),
    sub: subjectFor(person, scopes.resource === undefined ? GRAPH : tenant.api.clientId),
    tid: tenant.tenantId,
    uti: randomBytes(16).toString('base64url'),
  };
  return scopes.resource !== undefined && tenant.api.tokenVersion === 2
    ? {
        ...common,
        aud: tenant.api.clientId,
        iss: v2Issuer(authority, tenant.tenantId),
        azp: clientId,
        azpacr: '0',
        preferred_username: person.username,
        ver: '2.0',
      }
    : {
        ...common,
        aud: scopes.resource ?? GRAPH,
        iss: v1Issuer(authority, tenant.tenantId),
        appid: clientId,
        appidacr: '0',
        ...(person.guest
          ? { unique_name: `live.com#${person.username}` }
          : { unique_name: person.username, upn: person.username }),
        ver: '1.0',
      };
}

/** Graph marks its tokens so that nobody else can verify them. */
export function accessTokenHeader({ scopes }: Grant): Record<string, unknown> {
  return scopes.resource === undefined ? { nonce: randomBytes(16).toString('base64url') } : {};
}

export function idTokenClaims(authority: string, grant: Grant, nonce: string | undefined, nowMs: number) {
  const { tenant, person, clientId, scopes } = grant;
  return {
    ...lifetime(nowMs),
    aud: clientId,
    iss: v2Issuer(authority, tenant.tenantId),
    ...(person.guest && { idp: CONSUMER_ISSUER }),
    ...(scopes.email && { email: person.username }),
    ...groupClaims(person),
    ...(person.appRoles && { roles: person.appRoles }),
    name: person.name,
    ...(nonce && { nonce }),
    oid: person.objectId,
    preferred_username: person.username,
    sub: subjectFor(person, clientId),
    tid: tenant.tenantId,
    uti: randomBytes(16).toString('base64url'),
    ver: '2.0',
  };
}

// Private

const GRAPH = '00000003-0000-0000-c000-000000000000';
const CONSUMER_ISSUER = 'https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/';
const MAX_GROUPS = 200;

function lifetime(nowMs: number) {
  const now = Math.floor(nowMs / 1000);
  return { iat: now, nbf: now, exp: now + TOKEN_SECONDS };
}

function groupClaims({ groups, objectId }: StandInPerson): Record<string, unknown> {
  if (!groups) return {};
  if (groups.length <= MAX_GROUPS) return { groups };
  const endpoint = `https://graph.windows.net/users/${objectId}/getMemberObjects`;
  return { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint } } };
}

/** Entra's subjects are pairwise: another application sees another one. */
function subjectFor({ objectId }: StandInPerson, applicationId: string): string {
  return createHash('sha256').update(`${objectId} ${applicationId}`).digest('base64url');
}
