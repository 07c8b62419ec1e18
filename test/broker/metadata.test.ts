import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../http/fixture.ts';
import { openWorld, type World } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await openWorld(['axe', 'bolt']);
});
afterAll(() => world?.close());

describe('the metadata of the authorization server', () => {
  test.each(['/.well-known/oauth-authorization-server', '/.well-known/oauth-authorization-server/frame/mcp'])(
    'stands at %s, for any page',
    async path => {
      const response = await fetch(`${world.origin}${path}`, { headers: { origin: 'https://inspector.example' } });
      expect(response.status).toBe(200);
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      expect(await response.json()).toEqual({
        issuer: world.origin,
        authorization_endpoint: `${world.origin}/authorize`,
        token_endpoint: `${world.origin}/token`,
        registration_endpoint: `${world.origin}/register`,
        revocation_endpoint: `${world.origin}/revoke`,
        response_types_supported: ['code'],
        response_modes_supported: ['query'],
        grant_types_supported: ['authorization_code', 'refresh_token'],
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['none'],
        revocation_endpoint_auth_methods_supported: ['none'],
        scopes_supported: ['frame:read', 'frame:write', 'offline_access'],
        client_id_metadata_document_supported: true,
        authorization_response_iss_parameter_supported: true,
      });
    },
  );

  test('is what the protected resource points at', async () => {
    const response = await fetch(`${world.origin}/.well-known/oauth-protected-resource/frame/mcp`);
    expect(await response.json()).toMatchObject({
      resource: world.resource,
      authorization_servers: [world.origin],
      scopes_supported: ['frame:read', 'frame:write'],
    });
  });

  test.each([
    '/.well-known/openid-configuration',
    '/.well-known/openid-configuration/frame/mcp',
    '/frame/mcp/.well-known/openid-configuration',
  ])('is no OpenID provider: %s is 404', async path => {
    expect((await fetch(`${world.origin}${path}`)).status).toBe(404);
  });
});

describe('what programs call from pages', () => {
  test.each(['/token', '/register', '/revoke'])('%s answers a preflight and any origin', async path => {
    const headers = { origin: 'https://inspector.example', 'access-control-request-method': 'POST' };
    const preflight = await fetch(`${world.origin}${path}`, { method: 'OPTIONS', headers });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-headers')).toContain('MCP-Protocol-Version');
    const answer = await fetch(`${world.origin}${path}`, {
      method: 'POST',
      headers: { origin: headers.origin },
      body: '',
    });
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  });

  test.each([
    ['GET', '/token', 'POST'],
    ['GET', '/register', 'POST'],
    ['PUT', '/revoke', 'POST'],
    ['GET', '/consent', 'POST'],
    ['DELETE', '/authorize', 'GET, HEAD, POST'],
    ['POST', '/callback/entra', 'GET, HEAD'],
    ['POST', '/.well-known/oauth-authorization-server', 'GET, HEAD'],
  ])('%s %s is 405', async (method, path, allowed) => {
    const response = await fetch(`${world.origin}${path}`, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe(allowed);
  });

  test.each([
    ['/token', 'application/json', '{}', 415],
    ['/token', 'application/x-www-form-urlencoded', `a=${'b'.repeat(17_000)}`, 413],
    ['/revoke', 'text/plain', 'token=x', 415],
    ['/register', 'application/x-www-form-urlencoded', 'a=b', 415],
    ['/register', 'application/json', `"${'b'.repeat(17_000)}"`, 413],
    ['/register', 'application/json', '{', 400],
  ])('%s refuses %s in the words of OAuth', async (path, type, body, status) => {
    const headers = { 'content-type': type };
    const response = await fetch(`${world.origin}${path}`, { method: 'POST', headers, body });
    expect(response.status).toBe(status);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toEqual({ error: 'invalid_request', error_description: expect.any(String) });
  });
});

describe('where people sign in directly', () => {
  let direct: Gateway;
  beforeAll(async () => {
    direct = await startGateway();
  });
  afterAll(() => direct?.stop());

  test.each([
    ['GET', '/.well-known/oauth-authorization-server'],
    ['GET', '/authorize'],
    ['POST', '/consent'],
    ['GET', '/callback/entra'],
    ['POST', '/token'],
    ['POST', '/register'],
    ['POST', '/revoke'],
  ])('%s %s is not there', async (method, path) => {
    expect((await fetch(`${direct.origin}${path}`, { method })).status).toBe(404);
  });
});
