import { randomUUID } from 'node:crypto';
import type { OAuthDiscoveryState, OAuthTokens } from '@modelcontextprotocol/client';
import { createBrowser } from '../broker/browser.ts';

/** What an MCP client brings to OAuth: a place for its registration and its tokens, and a person at a browser. */
export interface SignIn {
  redirectUrl: string;
  clientMetadata: { client_name: string; redirect_uris: string[]; grant_types: string[]; response_types: string[] };
  clientInformation(): { client_id: string } | undefined;
  saveClientInformation(information: { client_id: string }): void;
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

/** `clientId`: typed in by hand, where nobody can register. Without it the client registers by itself. */
export function createSignIn(username: string, name: string, clientId?: string): SignIn {
  let information = clientId === undefined ? undefined : { client_id: clientId };
  const state = randomUUID();
  const sentTo: URL[] = [];
  let kept: OAuthTokens | undefined;
  let discovered: OAuthDiscoveryState | undefined;
  let verifier = '';
  let callback = new URLSearchParams();
  return {
    redirectUrl: REDIRECT,
    clientMetadata: {
      client_name: name,
      redirect_uris: [REDIRECT],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
    clientInformation: () => information,
    saveClientInformation(registered) {
      information = registered;
    },
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
      // Entra gives a refresh token only to those who ask for one, and nobody there tells clients to.
      const scopes = new Set(url.searchParams.get('scope')?.split(' ')).add('offline_access');
      url.searchParams.set('scope', [...scopes].join(' '));
      callback = (await walk(url, username)).searchParams;
      if (callback.get('state') !== state) throw new Error('the state did not come back');
    },
    sentTo,
    callback: () => callback,
  };
}

/** What a person does: agrees to our page where there is one, presses their name at Entra, and is sent back: to where. */
export async function walk(url: URL, username: string): Promise<URL> {
  const redirect = url.searchParams.get('redirect_uri') ?? REDIRECT;
  const browser = createBrowser();
  let page = await browser.open(url.href);
  for (let steps = 0; steps < 10; steps += 1) {
    if (page.location.startsWith(redirect)) return new URL(page.location);
    if (page.location) page = await browser.open(new URL(page.location, page.url).href);
    else if (page.text.includes('action="/consent"'))
      page = await browser.submit(page, { access: 'write', answer: 'allow' });
    else page = await browser.submit(page, { person: personOn(page.text, username) });
  }
  throw new Error(`lost at ${page.url}: ${page.text}`);
}

// Private

function personOn(page: string, username: string): string {
  const buttons = page.matchAll(/<button name="person" value="([^"]+)"[^>]*>(.*?)<\/button>/gs);
  const person = [...buttons].find(([, , content]) => content?.includes(`<small>${username}</small>`))?.[1];
  if (person) return person;
  throw new Error(`no button for ${username}: ${page}`);
}
