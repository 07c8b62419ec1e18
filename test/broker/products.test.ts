import { hash, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { modern } from '../e2e/wire.ts';
import { agreeAndSignIn, answerOf, createBrowser } from './browser.ts';
import { type Internet, startInternet } from './internet.ts';
import type { Introduction, Product } from './products/product.ts';
import { PRODUCTS } from './products/products.ts';
import { ADA, openWorld, type World } from './world.ts';

/** Every product from the challenge to its end, with what it really sends: products/ has it from their own sources. */
const MINUTE_MS = 60_000;

let internet: Internet;
let world: World;

beforeAll(async () => {
  internet = await startInternet(new Map(documents()));
  world = await openWorld(['axe'], {}, internet.network);
});
afterEach(() => {
  world.clock.aheadMs = 0;
});
afterAll(async () => {
  await world?.close();
  await internet?.[Symbol.asyncDispose]();
});

function documents(): [string, unknown][] {
  return PRODUCTS.flatMap(({ introductions }) =>
    introductions.flatMap((one): [string, unknown][] => (one.by === 'document' ? [[one.clientId, one.document]] : [])),
  );
}

type Form = Record<string, string>;

const Tokens = z.object({
  access_token: z.string(),
  refresh_token: z.string(),
  expires_in: z.number(),
  scope: z.string(),
});
type Tokens = z.output<typeof Tokens>;

/** One installation of a product. */
function install(product: Product, introduction: Introduction, scope: string) {
  const resource = product.resource(world.resource);
  const { redirectUri } = introduction;

  /** It names itself at our endpoints as it does everywhere. */
  function post(path: string, clientId: string, form: Form): Promise<Response> {
    const body = new URLSearchParams(form);
    const headers = new Headers();
    if (product.tokenAuth === 'basic') headers.set('authorization', `Basic ${btoa(`${clientId}:`)}`);
    else body.set('client_id', clientId);
    // Who asked for a secret and got none may send what it has.
    if (asksForSecret(introduction)) body.set('client_secret', '');
    return fetch(`${world.origin}${path}`, { method: 'POST', body, headers });
  }

  return {
    async introduce(): Promise<string> {
      if (introduction.by === 'document') return introduction.clientId;
      const ids = new Set<string>();
      for (let i = 0; i < introduction.times; i += 1) ids.add(await register(introduction.body));
      expect(ids.size).toBe(1);
      return [...ids].join();
    },
    /** Resolves to what the redirect brings. */
    async sendPerson(clientId: string, verifier: string, state: string) {
      const asked = new URLSearchParams({
        response_type: 'code',
        client_id: clientId,
        redirect_uri: redirectUri,
        code_challenge: hash('sha256', verifier, 'base64url'),
        code_challenge_method: 'S256',
        state,
        resource,
        scope,
        ...(product.prompt && { prompt: product.prompt }),
      });
      const browser = createBrowser();
      const consent = await browser.open(`${world.origin}/authorize?${asked}`);
      const back = await browser.open(await agreeAndSignIn(browser, consent, ADA));
      expect(back.location.startsWith(`${redirectUri}?`)).toBe(true);
      return { consent, answer: answerOf(back) };
    },
    redeem: (clientId: string, code: string, verifier: string) =>
      post('/token', clientId, {
        grant_type: 'authorization_code',
        code,
        code_verifier: verifier,
        redirect_uri: redirectUri,
        resource,
      }),
    refresh: (clientId: string, token: string) =>
      post('/token', clientId, {
        grant_type: 'refresh_token',
        refresh_token: token,
        ...(product.resourceOnRefresh && { resource }),
      }),
    revoke: (clientId: string, token: string) => post('/revoke', clientId, { token }),
  };
}

function asksForSecret(introduction: Introduction): boolean {
  return introduction.by === 'registration' && introduction.body.token_endpoint_auth_method === 'client_secret_post';
}

/** Resolves to the client id. */
async function register(body: unknown): Promise<string> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${world.origin}/register`, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(answer.status).toBe(201);
  return z.looseObject({ client_id: z.string() }).parse(await answer.json()).client_id;
}

async function tokensOf(answer: Response): Promise<Tokens> {
  expect(answer.status).toBe(200);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  return Tokens.parse(await answer.json());
}

/** The status of tools/list. */
async function listTools(token: string): Promise<number> {
  const [body, headers] = modern('tools/list');
  const answer = await fetch(world.resource, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body,
  });
  const text = await answer.text();
  if (answer.status === 200) expect(text).toContain('"echo"');
  return answer.status;
}

const cases = PRODUCTS.flatMap(product =>
  product.introductions.flatMap(introduction =>
    product.scopes.map(scope => ({ name: product.name, by: introduction.by, scope, product, introduction })),
  ),
);

describe('every product', () => {
  test.each(cases)('$name, introduced by $by, asks for `$scope`', async ({ product, introduction, scope }) => {
    const { introduce, sendPerson, redeem, refresh, revoke } = install(product, introduction, scope);
    const { when, parallel, comesBackWithOld } = product.refresh;
    const clientId = await introduce();
    const [verifier, state] = [randomBytes(48).toString('base64url'), randomBytes(16).toString('hex')];

    const { consent, answer } = await sendPerson(clientId, verifier, state);
    const host = introduction.by === 'document' ? new URL(introduction.clientId).host : 'Unverified';
    expect(consent.text).toContain(host);
    expect(answer).toEqual({ code: expect.any(String), state, iss: world.origin });

    const first = await tokensOf(await redeem(clientId, answer.code ?? '', verifier));
    expect(first.scope.split(' ')).toEqual(expect.arrayContaining(['frame:read', 'frame:write']));
    expect(first.expires_in).toBe(15 * 60);
    expect(await listTools(first.access_token)).toBe(200);

    world.clock.aheadMs = when === 'early' ? 11 * MINUTE_MS : 16 * MINUTE_MS;
    expect(await listTools(first.access_token)).toBe(when === 'early' ? 200 : 401);
    const answers = await Promise.all(
      Array.from({ length: parallel }, async () => tokensOf(await refresh(clientId, first.refresh_token))),
    );
    const [second = first] = answers;
    expect(new Set(answers.map(({ refresh_token }) => refresh_token)).size).toBe(1);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(await listTools(second.access_token)).toBe(200);
    if (comesBackWithOld) {
      world.clock.aheadMs += MINUTE_MS;
      const again = await tokensOf(await refresh(clientId, first.refresh_token));
      expect(again.refresh_token).toBe(second.refresh_token);
    }

    expect((await revoke(clientId, second.refresh_token)).status).toBe(200);
    await expect.poll(() => listTools(second.access_token)).toBe(401);
    const late = await refresh(clientId, second.refresh_token);
    expect(await late.json()).toMatchObject({ error: 'invalid_grant' });
  });
});

test('documents were read where they are, not known by heart', () => {
  const asked = new Set(internet.requests().map(request => `https://${request}`));
  expect(asked).toEqual(new Set(documents().map(([address]) => address)));
});
