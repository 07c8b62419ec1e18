import { randomUUID } from 'node:crypto';
import type { OAuthDiscoveryState, OAuthTokens } from '@modelcontextprotocol/client';

/** What an MCP client brings to OAuth: a registered client id, a place for tokens, and a person at a browser. */
export interface SignIn {
  redirectUrl: string;
  clientMetadata: { client_name: string; redirect_uris: string[]; grant_types: string[]; response_types: string[] };
  clientInformation(): { client_id: string };
  state(): string;
  tokens(): OAuthTokens | undefined;
  saveTokens(tokens: OAuthTokens): void;
  saveCodeVerifier(verifier: string): void;
  codeVerifier(): string;
  saveDiscoveryState(state: OAuthDiscoveryState): void;
  discoveryState(): OAuthDiscoveryState | undefined;
  redirectToAuthorization(url: URL): Promise<void>;
  /** Addresses that the browser was sent to. */
  sentTo: URL[];
  /** What came back to the redirect address. */
  callback(): URLSearchParams;
}

const REDIRECT = 'http://localhost:51234/callback';

export function createSignIn(clientId: string, username: string): SignIn {
  const state = randomUUID();
  const sentTo: URL[] = [];
  let kept: OAuthTokens | undefined;
  let discovered: OAuthDiscoveryState | undefined;
  let verifier = '';
  let callback = new URLSearchParams();
  return {
    redirectUrl: REDIRECT,
    clientMetadata: {
      client_name: 'story',
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
    clientInformation: () => ({ client_id: clientId }),
    state: () => state,
    tokens: () => kept,
    saveTokens(tokens) {
      kept = { ...kept, ...tokens };
    },
    saveCodeVerifier(text) {
      verifier = text;
    },
    codeVerifier: () => verifier,
    saveDiscoveryState(found) {
      discovered = found;
    },
    discoveryState: () => discovered,
    async redirectToAuthorization(url) {
      sentTo.push(new URL(url));
      const scopes = new Set(url.searchParams.get('scope')?.split(' ')).add('offline_access');
      url.searchParams.set('scope', [...scopes].join(' '));
      callback = await pressButton(url, username);
      if (callback.get('state') !== state) throw new Error('the state did not come back');
    },
    sentTo,
    callback: () => callback,
  };
}

// Private

/** Opens the login page, presses the button of a person, and reads where the browser is sent. */
async function pressButton(url: URL, username: string): Promise<URLSearchParams> {
  const page = await (await fetch(url)).text();
  const buttons = page.matchAll(/<button name="person" value="([^"]+)"[^>]*>(.*?)<\/button>/gs);
  const person = [...buttons].find(([, , content]) => content?.includes(`<small>${username}</small>`))?.[1];
  if (!person) throw new Error(`no button for ${username}: ${page}`);
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams({ person }), redirect: 'manual' });
  const location = new URL(answer.headers.get('location') ?? '');
  if (location.origin + location.pathname !== REDIRECT) throw new Error(`sent to ${location}`);
  return location.searchParams;
}
