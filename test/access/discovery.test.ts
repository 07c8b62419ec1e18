import { describe, expect, test } from 'vitest';
import { challenge, protectedResource } from '../../src/access/discovery.ts';
import { ERROR_CODES, FrameError } from '../../src/errors.ts';
import { API, API_URI, OTHER_TENANT, sampleCustomer, TENANT } from './fixtures.ts';

const ORIGIN = 'https://axe.example';
const METADATA = `${ORIGIN}/.well-known/oauth-protected-resource/frame/mcp`;
const axe = sampleCustomer();

describe('the protected resource (RFC 9728)', () => {
  test('says where to sign in, and for which scope', () => {
    expect(protectedResource(ORIGIN, [axe])).toEqual({
      resource: 'https://axe.example/frame/mcp',
      resource_name: 'Frame',
      authorization_servers: [`https://login.microsoftonline.com/${TENANT}/v2.0`],
      scopes_supported: [`${API_URI}/access_as_user`],
      bearer_methods_supported: ['header'],
    });
  });

  test.each([
    [[API_URI, API], `${API_URI}/access_as_user`],
    [[API, API_URI], `${API_URI}/access_as_user`],
    [[API, 'https://axe.example/frame/mcp'], 'https://axe.example/frame/mcp/access_as_user'],
    [[API], `api://${API}/access_as_user`],
  ])('an audience of %j is asked for as %s', (audience, scope) => {
    expect(protectedResource(ORIGIN, [sampleCustomer({ entra: { audience } })]).scopes_supported).toEqual([scope]);
  });

  test('of several customers names all their tenants', () => {
    const other = sampleCustomer({ id: 'other', entra: { tenantId: OTHER_TENANT, authority: 'http://127.0.0.1:9' } });
    expect(protectedResource(ORIGIN, [axe, other])).toMatchObject({
      authorization_servers: [
        `https://login.microsoftonline.com/${TENANT}/v2.0`,
        `http://127.0.0.1:9/${OTHER_TENANT}/v2.0`,
      ],
      scopes_supported: [`${API_URI}/access_as_user`],
    });
  });
});

describe('where people sign in through the gateway', () => {
  const broker = sampleCustomer({ signIn: 'broker' });
  const other = sampleCustomer({ id: 'other', signIn: 'broker', entra: { tenantId: OTHER_TENANT } });

  test('it is its own authorization server, once for all customers, byte for byte its origin', () => {
    expect(protectedResource(ORIGIN, [broker, other])).toEqual({
      resource: 'https://axe.example/frame/mcp',
      resource_name: 'Frame',
      authorization_servers: ['https://axe.example'],
      scopes_supported: ['frame:read', 'frame:write'],
      bearer_methods_supported: ['header'],
    });
  });

  test.each([
    ['access/token-missing', ''],
    ['access/token-invalid', ', error="invalid_token", error_description="A sentence."'],
    ['access/scope-missing', ', error="insufficient_scope", error_description="A sentence."'],
  ] as const)('%s asks for both scopes', (code, rest) => {
    const value = challenge(ORIGIN, [broker, other], new FrameError(code, 'A sentence.'));
    expect(value).toBe(`Bearer resource_metadata="${METADATA}", scope="frame:read frame:write"${rest}`);
  });
});

describe('the challenge (RFC 6750)', () => {
  const challengeOf = (code: FrameError['code'], message = 'A sentence.') =>
    challenge(ORIGIN, [axe], new FrameError(code, message, { hint: 'A hint.', detail: 'secret' }));
  const base = `Bearer resource_metadata="${METADATA}", scope="${API_URI}/access_as_user"`;

  test('names no error when no credential was sent', () => {
    expect(challengeOf('access/token-missing')).toBe(base);
  });

  test('says what is wrong with a token that was sent', () => {
    expect(challengeOf('access/token-invalid')).toBe(`${base}, error="invalid_token", error_description="A sentence."`);
  });

  test('asks for the scope when it is missing', () => {
    expect(challengeOf('access/scope-missing')).toBe(
      `${base}, error="insufficient_scope", error_description="A sentence."`,
    );
  });

  test.each(ERROR_CODES.filter(code => !/^access\/(token|scope)-/.test(code)))('%s carries none', code => {
    expect(challengeOf(code)).toBeUndefined();
  });

  test('lets nothing out of its quotes', () => {
    const value = challengeOf('access/token-invalid', 'a "quoted" back\\slash\r\nSet-Cookie: x=ä€');
    expect(value).toContain('error_description="a \\"quoted\\" back\\\\slash??Set-Cookie: x=??"');
    expect(() => new Headers({ 'www-authenticate': value ?? '' })).not.toThrow();
  });

  test('of several customers names every scope once', () => {
    const other = sampleCustomer({ id: 'other', entra: { tenantId: OTHER_TENANT, audience: [API], scope: 'work' } });
    const value = challenge(ORIGIN, [axe, other, axe], new FrameError('access/scope-missing', 'A sentence.'));
    expect(value).toContain(`scope="${API_URI}/access_as_user api://${API}/work"`);
  });
});
