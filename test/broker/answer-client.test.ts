import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerUrl } from '../../src/broker/answer-client.ts';
import { answerOf, createBrowser, createProgram } from './browser.ts';
import { openWorld, type World } from './world.ts';

const ISSUER = 'https://axe.example';

describe('the address that somebody is sent back to', () => {
  test.each([
    ['https://app.example/cb', 'https://app.example/cb?code=1&state=s&iss=https%3A%2F%2Faxe.example'],
    ['https://app.example/cb?', 'https://app.example/cb?&code=1&state=s&iss=https%3A%2F%2Faxe.example'],
    [
      "https://app.example/cb?a=b%20c&d&e='",
      "https://app.example/cb?a=b%20c&d&e='&code=1&state=s&iss=https%3A%2F%2Faxe.example",
    ],
    [
      'cursor://anysphere.cursor-mcp/oauth/callback',
      'cursor://anysphere.cursor-mcp/oauth/callback?code=1&state=s&iss=https%3A%2F%2Faxe.example',
    ],
  ])('%s is kept as it was written', (redirectUri, expected) => {
    expect(answerUrl({ redirectUri, state: 's' }, ISSUER, { code: '1' })).toBe(expected);
  });

  test('carries a state and a sentence whatever they hold', () => {
    const url = answerUrl({ redirectUri: 'https://app.example/cb?x=1', state: 'a &=#+ ü' }, ISSUER, {
      error: 'invalid_request',
      description: 'A & B.',
    });
    expect(Object.fromEntries(new URL(url).searchParams)).toEqual({
      x: '1',
      error: 'invalid_request',
      error_description: 'A & B.',
      state: 'a &=#+ ü',
      iss: ISSUER,
    });
  });
});

describe('over HTTP', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world?.close());

  test('the same resource twice is one (RFC 8707), also with a slash; another one beside it is refused', async () => {
    const program = await createProgram(world);
    const more = (resource: string) => `${program.url()}&${new URLSearchParams({ resource })}`;
    expect((await createBrowser().open(more(world.resource))).status).toBe(200);
    expect((await createBrowser().open(more(`${world.resource}/`))).status).toBe(200);
    expect(answerOf(await createBrowser().open(more('https://evil.example/'))).error).toBe('invalid_target');

    const ask = async (resources: string[]) => {
      const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: program.id, refresh_token: 'x' });
      for (const resource of resources) form.append('resource', resource);
      return (await fetch(`${world.origin}/token`, { method: 'POST', body: form })).json();
    };
    expect(await ask([world.resource, world.resource])).toMatchObject({ error: 'invalid_grant' });
    expect(await ask([world.resource, 'https://evil.example/'])).toMatchObject({ error: 'invalid_target' });
  });

  test.each(['/token', '/revoke', '/register'])('a page elsewhere can read that %s is not asked by GET', async path => {
    const answer = await fetch(`${world.origin}${path}`, { headers: { origin: 'https://inspector.example' } });
    expect([answer.status, answer.headers.get('allow'), answer.headers.get('access-control-allow-origin')]).toEqual([
      405,
      'POST',
      '*',
    ]);
  });

  test('no page elsewhere reads what /consent says', async () => {
    const answer = await fetch(`${world.origin}/consent`, { headers: { origin: 'https://inspector.example' } });
    expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([405, null]);
  });
});
