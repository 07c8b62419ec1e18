import { hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createStandInEntra } from '../../src/demo/entra/stand-in-entra.ts';
import { answerOf, createBrowser, REDIRECT } from '../broker/browser.ts';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { modern } from './wire.ts';

/** Blue and green on one database, behind one origin: whichever of them a request reaches, the sign-in goes on. */
const TENANT = '122fb574-0000-4000-8000-0000000000a1';
const FRAME = '6f0c0000-0000-4000-8000-0000000000a1';
const ADA = '0b1ec700-0000-4000-8000-0000000000a1';
const SECRET = 'the secret of Frame';
const BLUE = { 'x-slot': 'blue' };
const GREEN = { 'x-slot': 'green' };

const entra = createStandInEntra({
  tenants: [
    {
      tenantId: TENANT,
      name: 'AXE LLC',
      api: { clientId: FRAME, uris: ['api://axe'], scopes: ['x'], tokenVersion: 2 },
      clients: [
        {
          clientId: FRAME,
          name: 'Frame',
          secret: SECRET,
          redirects: [{ platform: 'web', uri: 'http://127.0.0.1/callback/entra' }],
        },
      ],
      people: [{ objectId: ADA, name: 'Ada Axe', username: 'ada@axe.example' }],
    },
  ],
  now: Date.now,
});
const slots = new Map<string, Serving>();
let front: Server;
let origin: string;
let home: FrameHome;

beforeAll(async () => {
  const authority = await entra.listen('127.0.0.1', 0);
  front = await startFront();
  const address = front.address();
  origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  home = await makeFrameHome(customersYaml(authority));
  for (const slot of ['blue', 'green']) slots.set(slot, await home.serve({ env: { FRAME_SLOT: slot } }));
});

afterAll(async () => {
  front?.closeAllConnections();
  front?.close();
  await home?.remove();
  await entra.close();
});

/** Passes each request to the slot that it names. */
async function startFront(): Promise<Server> {
  const server = createServer((asked, answer) => {
    const port = slots.get(String(asked.headers['x-slot'] ?? 'blue'))?.port;
    const { method, url, headers } = asked;
    const passed = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false }, response => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    asked.pipe(passed);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server;
}

const customersYaml = (authority: string) => `customers:
  axe:
    name: AXE LLC
    origin: ${origin}
    domains: [axe.example]
    entra:
      tenant_id: ${TENANT}
      audience: [${FRAME}]
      scope: x
      client_id: ${FRAME}
      client_secret: ${SECRET}
      authority: ${authority}
    entities: { axe: { name: AXE LLC } }
    access: [{ who: ada@axe.example, role: admin }]
`;

const Tokens = z.object({ access_token: z.string(), refresh_token: z.string() });
type Tokens = z.output<typeof Tokens>;

const client = { id: '', verifier: '' };

beforeEach(async () => {
  const answer = await fetch(`${origin}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...BLUE },
    body: JSON.stringify({ client_name: 'Probe', redirect_uris: [REDIRECT] }),
  });
  client.id = z.looseObject({ client_id: z.string() }).parse(await answer.json()).client_id;
  client.verifier = randomBytes(32).toString('base64url');
});

/** Page at blue, consent at green, return at blue. Resolves to the code. */
async function signIn(): Promise<string> {
  const browser = createBrowser();
  const asked = new URLSearchParams({
    response_type: 'code',
    client_id: client.id,
    redirect_uri: REDIRECT,
    code_challenge: hash('sha256', client.verifier, 'base64url'),
    code_challenge_method: 'S256',
  });
  const consent = await browser.open(`${origin}/authorize?${asked}`, BLUE);
  const agreed = await browser.submit(consent, { access: 'write', answer: 'allow' }, GREEN);
  const back = await browser.submit(await browser.open(agreed.location), { person: ADA });
  return answerOf(await browser.open(back.location, BLUE)).code ?? '';
}

function post(path: string, form: Record<string, string>, slot: Record<string, string>): Promise<Response> {
  const body = new URLSearchParams({ client_id: client.id, ...form });
  return fetch(`${origin}${path}`, { method: 'POST', body, headers: slot });
}

const redeem = (code: string, slot: Record<string, string>) =>
  post(
    '/token',
    { grant_type: 'authorization_code', code, code_verifier: client.verifier, redirect_uri: REDIRECT },
    slot,
  );

const refresh = (token: string, slot: Record<string, string>) =>
  post('/token', { grant_type: 'refresh_token', refresh_token: token }, slot);

async function tokensOf(answer: Response): Promise<Tokens> {
  expect(answer.status).toBe(200);
  return Tokens.parse(await answer.json());
}

/** The status of tools/list. */
async function list({ access_token }: Tokens, slot: Record<string, string>): Promise<number> {
  const [body, headers] = modern('tools/list');
  const answer = await fetch(`${origin}/frame/mcp`, {
    method: 'POST',
    headers: { ...headers, ...slot, 'content-type': 'application/json', authorization: `Bearer ${access_token}` },
    body,
  });
  expect(answer.headers.get('x-frame-slot')).toBe(slot['x-slot']);
  return answer.status;
}

/** Both know the token, and have just used it. */
async function signInAtBoth(): Promise<Tokens> {
  const tokens = await tokensOf(await redeem(await signIn(), GREEN));
  expect([await list(tokens, BLUE), await list(tokens, GREEN)]).toEqual([200, 200]);
  return tokens;
}

async function expectEndOf(tokens: Tokens): Promise<void> {
  // At the latest when a memory of one second ends: access/access-token.test.ts measures it by a clock of its own.
  for (const slot of [GREEN, BLUE]) await expect.poll(() => list(tokens, slot)).toBe(401);
  for (const slot of [GREEN, BLUE]) {
    expect(await (await refresh(tokens.refresh_token, slot)).json()).toMatchObject({ error: 'invalid_grant' });
  }
}

describe('two gateways are one', () => {
  test('for a sign-in that begins at one, is agreed to at the other, and for its tokens', async () => {
    const tokens = await signInAtBoth();
    const answers = await Promise.all(
      [BLUE, GREEN, BLUE, GREEN].map(async slot => tokensOf(await refresh(tokens.refresh_token, slot))),
    );
    expect(new Set(answers.map(({ refresh_token }) => refresh_token)).size).toBe(1);
    const [next = tokens] = answers;
    expect([await list(next, BLUE), await list(next, GREEN)]).toEqual([200, 200]);
  });

  test('for a code: one redemption wins, and the other ends what came of it', async () => {
    const code = await signIn();
    const answers = await Promise.all([redeem(code, BLUE), redeem(code, GREEN)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400]);
    await expectEndOf(await tokensOf(answers.find(({ ok }) => ok) ?? Response.error()));
  });

  test('for a revocation: at one, and the other refuses', async () => {
    const tokens = await signInAtBoth();
    expect((await post('/revoke', { token: tokens.refresh_token }, BLUE)).status).toBe(200);
    await expectEndOf(tokens);
  });

  test('for an operator: `frame sessions revoke` ends it on both', async () => {
    const tokens = await signInAtBoth();
    expect((await home.run(['sessions', 'revoke', '--client', client.id])).exit).toBe(0);
    await expectEndOf(tokens);
  });
});
