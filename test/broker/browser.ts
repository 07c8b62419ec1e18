import { createHash, randomBytes } from 'node:crypto';
import type { World } from './world.ts';

/** A browser as far as sign-ins need one: cookies per host, forms as they stand on the page, and what Chrome sends along. */
export interface TestBrowser {
  cookies: Map<string, string>;
  open(url: string, headers?: Record<string, string>): Promise<Page>;
  /** Presses a button of the page's form. */
  submit(page: Page, values: Record<string, string>, headers?: Record<string, string>): Promise<Page>;
}

export interface Page {
  url: string;
  status: number;
  headers: Headers;
  text: string;
  /** Where it leads to, when it is a redirect. */
  location: string;
}

export function createBrowser(language = 'en'): TestBrowser {
  const cookies = new Map<string, string>();

  async function send(url: string, init: RequestInit & { headers: Record<string, string> }): Promise<Page> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { 'accept-language': language, ...(cookie && { cookie }), ...init.headers };
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get('location') ?? '';
    return { url, status: response.status, headers: response.headers, text: await response.text(), location };
  }

  return {
    cookies,
    open: (url, headers = {}) => send(url, { headers }),
    submit(page, values, headers = {}) {
      const action = /<form method="post"(?: action="([^"]*)")?/.exec(page.text)?.[1] ?? page.url;
      const hidden = [...page.text.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)"/g)];
      const form = Object.fromEntries(hidden.map(([, name, value]) => [name, value]));
      return send(new URL(action, page.url).href, {
        method: 'POST',
        body: new URLSearchParams({ ...form, ...values }),
        headers: { origin: 'null', 'sec-fetch-site': 'same-origin', ...headers },
      });
    },
  };
}

export const REDIRECT = 'http://127.0.0.1:51234/callback';

export interface Program {
  id: string;
  verifier: string;
  /** The address that it opens in the browser; undefined leaves a parameter out. */
  url(changes?: Record<string, string | undefined>): string;
}

/** A program that has registered, on its way to a person. */
export async function createProgram(world: World, registration: Record<string, unknown> = {}): Promise<Program> {
  const answer = await world.clients.register(
    { client_name: 'Probe <b>', redirect_uris: [REDIRECT], ...registration },
    '127.0.0.1',
  );
  const id = String(answer.client_id);
  const verifier = randomBytes(32).toString('base64url');
  return {
    id,
    verifier,
    url(changes = {}) {
      const parameters = {
        response_type: 'code',
        client_id: id,
        redirect_uri: REDIRECT,
        state: 'the state & more',
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        resource: world.resource,
        scope: 'frame:read frame:write',
        ...changes,
      };
      const given = Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
      return `${world.origin}/authorize?${new URLSearchParams(given)}`;
    },
  };
}

/** From the consent page to the callback, which is not opened yet: its address. */
export async function agreeAndSignIn(
  browser: TestBrowser,
  consent: Page,
  person: string,
  access = 'write',
): Promise<string> {
  const agreed = await browser.submit(consent, { access, answer: 'allow' });
  const login = await browser.open(agreed.location);
  return (await browser.submit(login, { person })).location;
}

export function answerOf(page: Page): Record<string, string> {
  return Object.fromEntries(new URL(page.location).searchParams);
}
