import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';

/**
 * A person's whole sign-in at a running gateway, without a person: what a program, a browser and a hand on the mouse do
 * together. It works with the stand-in Entra only, which asks for no password.
 */
export interface HeadlessSignIn {
  /** Where the gateway is reached. */
  origin: string;
  /** How the program introduces itself. */
  clientName: string;
}

/** Resolves to a function that signs in one person by object id: an access token, or undefined when they are not admitted. */
export async function createHeadlessSignIn({ origin, clientName }: HeadlessSignIn) {
  const clientId = await register(origin, clientName);
  return async (objectId: string): Promise<string | undefined> => {
    const codeVerifier = randomBytes(32).toString('base64url');
    const browse = createBrowser();

    const consent = await browse(authorizeUrl(origin, clientId, codeVerifier));
    const id = /name="sign_in" value="([\w-]+)"/.exec(await consent.text())?.[1] ?? '';
    const agreed = await browse(`${origin}/consent`, { sign_in: id, access: 'write', answer: 'allow' }, origin);
    const atEntra = await browse(locationOf(agreed), { person: objectId });
    const back = await browse(locationOf(atEntra));
    if (back.status !== 303) return undefined;
    const code = new URL(locationOf(back)).searchParams.get('code');
    return code === null ? undefined : redeem(origin, { client_id: clientId, code, code_verifier: codeVerifier });
  };
}

// Private

const REDIRECT_URI = 'http://127.0.0.1/callback';

async function register(origin: string, clientName: string): Promise<string> {
  const response = await fetch(`${origin}/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ client_name: clientName, redirect_uris: [REDIRECT_URI] }),
  });
  return z.object({ client_id: z.string() }).parse(await response.json()).client_id;
}

function authorizeUrl(origin: string, clientId: string, codeVerifier: string): string {
  return `${origin}/authorize?${new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: REDIRECT_URI,
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
  })}`;
}

async function redeem(origin: string, form: Record<string, string>): Promise<string> {
  const body = new URLSearchParams({ ...form, grant_type: 'authorization_code', redirect_uri: REDIRECT_URI });
  const response = await fetch(`${origin}/token`, { method: 'POST', body });
  return z.object({ access_token: z.string() }).parse(await response.json()).access_token;
}

/** Keeps cookies and follows nothing by itself. */
function createBrowser() {
  const cookies = new Map<string, string>();
  return async (url: string, form?: Record<string, string>, origin?: string): Promise<Response> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie, ...(origin && { origin }) },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      cookies.set(name, value);
    }
    return response;
  };
}

function locationOf(response: Response): string {
  const location = response.headers.get('location');
  if (location !== null) return location;
  throw new Error(`The sign-in ended with status ${response.status} where a redirect should be.`);
}
