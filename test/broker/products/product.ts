/** How one product connects, as far as our endpoints can see it: what it sends is data, so that a test can replay it. */
export interface Product {
  name: string;
  /** The first is the one it takes when our metadata offers both. */
  introductions: readonly [Introduction, ...Introduction[]];
  /** At /authorize, given that we advertise frame:read, frame:write and offline_access; the first is the usual one. */
  scopes: readonly [string, ...string[]];
  /** At /authorize. */
  prompt: string | undefined;
  /** How it writes the resource, given the URL that the person typed. */
  resource(mcpUrl: string): string;
  resourceOnRefresh: boolean;
  /** How it names itself at /token. `basic`: its id and an empty secret, not URL-encoded, whatever we advertise. */
  tokenAuth: 'none' | 'basic';
  /** It gives up when `iss` is missing from the redirect or wrong (RFC 9207). */
  checksIssuer: boolean;
  refresh: {
    /** `early`: up to five minutes before the access token expires, and on a 401. */
    when: 'early' | 'on-401';
    /** So many send the same refresh token at once. */
    parallel: number;
    /** It comes back with a refresh token that was exchanged before. */
    comesBackWithOld: boolean;
  };
}

export type Introduction =
  | { by: 'document'; clientId: string; document: Readonly<Record<string, unknown>>; redirectUri: string }
  /** `times`: with the same body, on each connect. */
  | { by: 'registration'; body: Readonly<Record<string, unknown>>; times: number; redirectUri: string };

/** `new URL(prm.resource).href`, as the TypeScript SDK writes it: only an address without a path changes. */
export function resourceOfSdk(mcpUrl: string): string {
  return new URL(mcpUrl).href;
}
