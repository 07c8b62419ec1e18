import { describe, expect, test } from 'vitest';
import { namesOf, ORIGIN, openClinic } from './doctor-clinic.ts';
import { type Change, instead, type Passed, withBody, withHeaders } from './doctor-front.ts';

const clinic = openClinic();
const RESOURCE = '/.well-known/oauth-protected-resource/frame/mcp';
const ISSUER = '/.well-known/oauth-authorization-server';

describe('what programs read before they sign in', () => {
  const MCP = '/frame/mcp';
  const POINTER = `resource_metadata="${ORIGIN}${RESOURCE}"`;
  const SCOPE = 'scope="frame:read frame:write"';
  const challenge = (value: string | string[] | undefined) => withHeaders({ 'www-authenticate': value });
  test.each([
    [
      'the header twice',
      challenge([`Bearer ${POINTER}, ${SCOPE}`, 'Basic realm="x"']),
      '2 WWW-Authenticate headers',
      'adds one',
    ],
    ['no header', challenge(undefined), 'no WWW-Authenticate headers', 'changes its answers'],
    [
      'two challenges in one',
      challenge(`Bearer ${POINTER}, ${SCOPE}, Basic realm="x"`),
      'not one Bearer challenge',
      'changes',
    ],
    ['another scheme', challenge(`DPoP ${POINTER}, ${SCOPE}`), 'not one Bearer challenge', 'changes'],
    ['a scheme in small letters', challenge(`bearer ${POINTER}, ${SCOPE}`), 'not one Bearer challenge', 'changes'],
    ['no pointer', challenge(`Bearer ${SCOPE}`), 'names no resource_metadata', 'changes'],
    [
      'a pointer to somebody else',
      challenge(`Bearer resource_metadata="https://x.example/y", ${SCOPE}`),
      'to https://x.example/y instead of',
      'frame status',
    ],
    [
      'too small a scope',
      challenge(`Bearer ${POINTER}, scope="frame:read"`),
      'does not ask for frame:write',
      'frame status',
    ],
    [
      'an answer without a token',
      (answer: Passed) => ({ ...answer, status: 200 }),
      'as if anybody might make it',
      'Take the machine off',
    ],
    ['a refusal that is no question', instead(403, {}), 'with 403 instead of 401', 'exempt /frame/mcp'],
  ])('the challenge: %s', async (_, change, seen, mend) => {
    clinic.front.change(MCP, change);
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('challenge');
    expect(found.steps.challenge).toMatchObject({
      seen: expect.stringContaining(seen),
      mend: expect.stringContaining(mend),
    });
    expect(namesOf(found, 'not-tried')).toEqual(['mcp-2025-11-25', 'mcp-2026-07-28']);
    expect(namesOf(found, 'broken')).toEqual(['challenge']);
  });

  test.each([
    [
      'with a slash at the end',
      RESOURCE,
      withBody({ resource: `${ORIGIN}/frame/mcp/` }),
      'These say different things: https://axe.example/.well-known/oauth-protected-resource/frame/mcp',
    ],
    [
      'that is a page',
      RESOURCE,
      instead(200, { 'content-type': 'text/html' }, '<p>'),
      'answers with text/html that is no JSON object',
    ],
    [
      'that is not there',
      '/frame/mcp/.well-known/oauth-protected-resource',
      instead(404, {}),
      'oauth-protected-resource answers 404',
    ],
    ['that is a list', RESOURCE, instead(200, { 'content-type': 'application/json' }, '[]'), 'no JSON object'],
  ])('a resource document %s', async (_, path, change, seen) => {
    clinic.front.change(path, change);
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('resource-metadata');
    expect(found.steps['resource-metadata']?.seen).toContain(seen);
    expect(namesOf(found, 'not-tried')).toEqual(['preflight']);
  });

  const everywhere = (change: Change) => {
    const only = async (answer: Passed) =>
      answer.body.includes('"bearer_methods_supported"') ? change(answer) : answer;
    clinic.front.change(undefined, only);
  };
  test.each([
    [
      'a slash behind the resource',
      { resource: `${ORIGIN}/frame/mcp/` },
      `"${ORIGIN}/frame/mcp/", not "${ORIGIN}/frame/mcp"`,
    ],
    ['no resource', { resource: undefined }, '`resource` is undefined'],
    [
      'another place to sign in first',
      { authorization_servers: ['https://x.example', ORIGIN] },
      'sent to https://x.example to sign in',
    ],
    ['nowhere to sign in', { authorization_servers: [] }, 'sent to nobody to sign in'],
    ['too few scopes', { scopes_supported: ['frame:read'] }, 'lacks frame:write'],
    ['no way to send the token', { bearer_methods_supported: ['body'] }, 'lacks "header"'],
  ])('a resource document with %s', async (_, changes, seen) => {
    everywhere(withBody(changes));
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('resource-metadata');
    expect(found.steps['resource-metadata']).toMatchObject({
      seen: expect.stringContaining(seen),
      mend: expect.stringContaining('frame status axe'),
    });
  });

  test.each([
    ['another issuer', { issuer: 'https://x.example' }, '"https://x.example", not "https://axe.example"'],
    ['a slash behind the issuer', { issuer: `${ORIGIN}/` }, '"https://axe.example/", not'],
    ['no S256', { code_challenge_methods_supported: undefined }, 'lacks S256'],
    ['no programs without a secret', { token_endpoint_auth_methods_supported: ['client_secret_basic'] }, 'lacks none'],
    ['a token endpoint elsewhere', { token_endpoint: `${ORIGIN}/oauth/token` }, '`token_endpoint` is not at /token of'],
    ['no registration', { registration_endpoint: undefined }, '`registration_endpoint` is not at /register of'],
  ])('an issuer document with %s', async (_, changes, seen) => {
    for (const path of [ISSUER, `${ISSUER}/frame/mcp`]) clinic.front.change(path, withBody(changes));
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('sign-in-metadata');
    expect(found.steps['sign-in-metadata']?.seen).toContain(seen);
    expect(namesOf(found, 'not-tried')).toEqual(['registration']);
  });

  test('issuer documents that differ', async () => {
    clinic.front.change(`${ISSUER}/frame/mcp`, withBody({ issuer: 'https://x.example' }));
    const found = await clinic.throughFront();
    expect(found.steps['sign-in-metadata']?.seen).toContain('These say different things: ');
  });

  test.each([
    ['is not there', instead(404, {})],
    ['takes anybody', instead(201, { 'content-type': 'application/json' }, '{"client_id":"x"}')],
    ['refuses in other words', instead(400, {}, '{"error":"invalid_request"}')],
  ])('registration that %s', async (_, change) => {
    clinic.front.change('/register', change);
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('registration');
    expect(found.steps.registration?.seen).toMatch(/answered with \d+ instead of 400 invalid_redirect_uri/);
  });

  test.each([
    ['answered by somebody else', instead(405, {}), 'answered with 405, for no page'],
    [
      'without the header of the protocol',
      withHeaders({ 'access-control-allow-headers': 'Accept' }),
      'without MCP-Protocol-Version',
    ],
  ])('a preflight %s', async (_, change, seen) => {
    clinic.front.change(ISSUER, answer => (answer.method === 'OPTIONS' ? change(answer) : answer));
    const found = await clinic.throughFront();
    expect(found.first_broken).toBe('preflight');
    expect(found.steps.preflight?.seen).toContain(seen);
  });

  test('only one era asks for a token', async () => {
    let asked = 0;
    clinic.front.change(MCP, answer => {
      asked += 1;
      return asked === 3 ? { ...answer, status: 400 } : answer;
    });
    const found = await clinic.throughFront();
    expect(namesOf(found, 'broken')).toEqual(['mcp-2026-07-28']);
  });
});
