/** What the stand-in knows of a tenant: the part of an Entra directory that signing in needs. */
export interface StandInTenant {
  /** A GUID in lower case. */
  tenantId: string;
  name: string;
  people: readonly StandInPerson[];
  api: StandInApi;
  clients: readonly StandInClient[];
}

export interface StandInPerson {
  /** A GUID in lower case. */
  objectId: string;
  name: string;
  username: string;
  /** Group object ids; more than 200 are left out of tokens, as Entra does. */
  groups?: readonly string[];
  appRoles?: readonly string[];
  guest?: boolean;
  /** Shown on the login page. */
  about?: string;
}

/** The application registration that access tokens are for. */
export interface StandInApi {
  clientId: string;
  /** Application ID URIs. */
  uris: readonly [string, ...string[]];
  scopes: readonly string[];
  /** Of its access tokens, whatever endpoint they are asked at. */
  tokenVersion: 1 | 2;
}

/** An application that people sign in to. `web` redeems codes with its secret, `spa` from a browser, `native` without either. */
export interface StandInClient {
  clientId: string;
  name: string;
  secret?: string;
  redirects: readonly StandInRedirect[];
}

export interface StandInRedirect {
  platform: Platform;
  uri: string;
}

export type Platform = 'web' | 'spa' | 'native';

export function findPerson(tenant: StandInTenant, who: string): StandInPerson | undefined {
  const wanted = who.toLowerCase();
  return tenant.people.find(({ objectId, username }) => objectId === wanted || username.toLowerCase() === wanted);
}

/** As Entra: exact, except that the port of a loopback address does not count (RFC 8252 §7.3). */
export function findRedirect({ redirects }: StandInClient, uri: string): StandInRedirect | undefined {
  return redirects.find(registered => withoutLoopbackPort(registered.uri) === withoutLoopbackPort(uri));
}

// Private

function withoutLoopbackPort(uri: string): string {
  return uri.replace(/^(http:\/\/(?:localhost|127\.0\.0\.1)):\d{1,5}(?=\/|$)/, '$1');
}
