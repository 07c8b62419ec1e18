import { randomBytes, randomUUID } from 'node:crypto';
import { auth } from '@modelcontextprotocol/client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { makeSecretText } from '../../src/access/secret-text.ts';
import { agreeAndSignIn, answerOf, createBrowser, createProgram, type Program, REDIRECT } from './browser.ts';
import { ADA, EVE, openWorld, type World } from './world.ts';

/** How long a registration is kept, and what a program hears whose registration is gone. */
let world: World;

beforeAll(async () => {
  world = await openWorld();
});
afterEach(async () => {
  world.clock.aheadMs = 0;
  await world.query('truncate frame.oauth_clients');
});
afterAll(() => world?.close());

const DAY_MS = 86_400_000;

/** One that has not registered a moment ago. */
const newProgram = () => createProgram(world, { client_name: randomUUID() });

async function comeBackAs(person: string, { url }: Program) {
  const browser = createBrowser();
  return browser.open(await agreeAndSignIn(browser, await browser.open(url()), person));
}

const isUsed = async ({ id }: Program) =>
  (await world.query(`select last_used_at is not null from frame.oauth_clients where client_id = '${id}'`))[0]?.[0];

async function passDays(days: number): Promise<void> {
  world.clock.aheadMs = days * DAY_MS + 1000;
  await world.clients.sweep();
}

async function ask(form: Record<string, string>, headers: Record<string, string> = {}) {
  const answer = await fetch(`${world.origin}/token`, { method: 'POST', headers, body: new URLSearchParams(form) });
  const { error } = z.looseObject({ error: z.string().optional() }).parse(await answer.json());
  return { status: answer.status, error, challenge: answer.headers.get('www-authenticate') };
}

const refreshForm = (client_id: string, refresh_token = makeSecretText('refresh')) => ({
  grant_type: 'refresh_token',
  client_id,
  refresh_token,
});
/** The server's library puts a Response of its own in the place of Node's, and the client asks for that one. */
async function fetchFn(...call: Parameters<typeof fetch>): Promise<Response> {
  const answer = await fetch(...call);
  return new Response(await answer.text(), answer);
}

const unknownId = () => `fc_${randomBytes(24).toString('base64url')}`;

describe('a registration', () => {
  test('of a program whose person is not admitted yet is kept until they are', async () => {
    const program = await newProgram();
    expect((await comeBackAs(EVE, program)).status).toBe(403);
    await expect.poll(() => isUsed(program)).toBe(true);
    await passDays(89);
    expect((await createBrowser().open(program.url())).status).toBe(200);
  });

  test('of somebody who cancels, or never comes back, is no use of it', async () => {
    const program = await newProgram();
    const browser = createBrowser();
    await browser.submit(await browser.open(program.url()), { answer: 'cancel' });
    const { location } = await browser.submit(await browser.open(program.url()), { access: 'read', answer: 'allow' });
    const state = new URL(location).searchParams.get('state') ?? '';
    await browser.open(`${world.origin}/callback/entra?${new URLSearchParams({ state, error: 'access_denied' })}`);
    expect(await isUsed(program)).toBe(false);
  });

  test('that nobody used is kept for 30 days', async () => {
    const program = await newProgram();
    await passDays(29);
    expect((await createBrowser().open(program.url())).status).toBe(200);
    await passDays(30);
    const page = await createBrowser().open(program.url());
    expect([page.status, page.text.includes('does not know the program')]).toEqual([400, true]);
  });

  test('that nobody used goes after a day when there are more than 10,000 newer ones: anybody may register', async () => {
    const program = await newProgram();
    await world.query(`update frame.oauth_clients set created_at = created_at - interval '1 minute'`);
    await world.query(`insert into frame.oauth_clients (client_id, kind, metadata)
      select 'fc_' || n, 'registered', '{"name":"x","redirectUris":[]}' from generate_series(1, 10000) n`);
    await world.query(`insert into frame.oauth_clients (client_id, kind, metadata, created_at, last_used_at)
      values ('fc_used', 'registered', '{"name":"x","redirectUris":[]}', now() - interval '2 days', now())`);
    await world.clients.sweep();
    const ids = async () => (await world.query('select client_id from frame.oauth_clients')).flat();
    expect(await ids()).toHaveLength(10_002);
    await passDays(1);
    const left = await ids();
    expect(left).toHaveLength(10_001);
    expect(left).not.toContain(program.id);
    expect(left).toContain('fc_used');
  });
});

describe('at the token endpoint, with a token that nobody knows', () => {
  test('a program whose registration is gone is told so, that it registers again', async () => {
    expect(await ask(refreshForm(unknownId()))).toEqual({ status: 401, error: 'invalid_client', challenge: null });
    const id = unknownId();
    const authorization = `Basic ${Buffer.from(`${id}:`).toString('base64')}`;
    expect(await ask(refreshForm(id), { authorization })).toEqual({
      status: 401,
      error: 'invalid_client',
      challenge: 'Basic realm="frame"',
    });
    const code = { redirect_uri: REDIRECT, code_verifier: 'x'.repeat(43), code: makeSecretText('code') };
    expect(await ask({ ...code, grant_type: 'authorization_code', client_id: unknownId() })).toMatchObject({
      status: 401,
      error: 'invalid_client',
    });
    const form = refreshForm(unknownId());
    for (let n = 0; n < 2; n++) expect(await ask(form)).toMatchObject({ error: 'invalid_client' });
  });

  test('a program that is registered, or whose id is no registration, signs in again', async () => {
    const { id } = await newProgram();
    for (const clientId of [id, 'client-1', `${unknownId()}x`, 'https://claude.ai/oauth/mcp-oauth-client-metadata']) {
      expect([clientId, await ask(refreshForm(clientId))]).toMatchObject([
        clientId,
        { status: 400, error: 'invalid_grant' },
      ]);
    }
  });

  test('nobody is told so for a token that is known, whoever presents it', async () => {
    const program = await newProgram();
    const { code = '' } = answerOf(await comeBackAs(ADA, program));
    const form = { grant_type: 'authorization_code', redirect_uri: REDIRECT, code_verifier: program.verifier, code };
    expect(await ask({ ...form, client_id: unknownId() })).toMatchObject({ error: 'invalid_grant' });
    await world.query('truncate frame.oauth_clients');
    expect(await ask({ ...form, client_id: program.id })).toMatchObject({ status: 200 });
  });

  test('an official client registers anew by itself', async () => {
    const client = { client_id: unknownId() };
    const kept: { client?: { client_id: string }; refreshToken?: string } = {
      client,
      refreshToken: makeSecretText('refresh'),
    };
    const opened: URL[] = [];
    const provider = {
      redirectUrl: REDIRECT,
      clientMetadata: { client_name: 'Probe', redirect_uris: [REDIRECT] },
      state: () => 'a state',
      clientInformation: () => kept.client,
      saveClientInformation: (registered: { client_id: string }) => void Object.assign(kept, { client: registered }),
      tokens: () =>
        kept.refreshToken === undefined
          ? undefined
          : { access_token: 'x', token_type: 'Bearer', refresh_token: kept.refreshToken },
      saveTokens: () => {},
      redirectToAuthorization: (url: URL) => void opened.push(url),
      saveCodeVerifier: () => {},
      codeVerifier: () => '',
      invalidateCredentials(what: string) {
        if (what === 'all' || what === 'tokens') delete kept.refreshToken;
        if (what === 'all' || what === 'client') delete kept.client;
      },
    };
    expect(await auth(provider, { serverUrl: world.resource, fetchFn })).toBe('REDIRECT');
    const [url] = opened;
    expect(url?.searchParams.get('client_id')).not.toBe(client.client_id);
    expect((await createBrowser().open(url?.href ?? '')).status).toBe(200);
  });
});
