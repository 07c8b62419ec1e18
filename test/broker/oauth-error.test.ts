import { describe, expect, test } from 'vitest';
import { OAuthError, toOAuthError, toOAuthResponse } from '../../src/broker/oauth-error.ts';
import { ERROR_CODES, FrameError, unavailable } from '../../src/errors.ts';

describe('an answer', () => {
  test('is JSON that is not stored', async () => {
    const response = toOAuthResponse(new OAuthError('invalid_grant', 'The code is used.', { detail: 'our secret' }));
    expect(response.status).toBe(400);
    expect(Object.fromEntries(response.headers)).toEqual({
      'cache-control': 'no-store',
      'content-type': 'application/json',
    });
    expect(await response.json()).toEqual({ error: 'invalid_grant', error_description: 'The code is used.' });
  });

  test('challenges only who came with Basic', () => {
    const plain = toOAuthResponse(new OAuthError('invalid_client', 'Nobody knows this client.'));
    expect(plain.status).toBe(400);
    expect(plain.headers.has('www-authenticate')).toBe(false);
    const basic = toOAuthResponse(new OAuthError('invalid_client', 'Nobody knows this client.', { usedBasic: true }));
    expect(basic.status).toBe(401);
    expect(basic.headers.get('www-authenticate')).toBe('Basic realm="frame"');
    const other = toOAuthResponse(new OAuthError('invalid_grant', 'The code is used.', { usedBasic: true }));
    expect(other.status).toBe(400);
    expect(other.headers.has('www-authenticate')).toBe(false);
  });

  test('describes in the characters that RFC 6749 allows', async () => {
    const response = toOAuthResponse(new OAuthError('invalid_request', 'A "quoted" \\ thing\r\nX: y — 한국 ~'));
    expect(await response.json()).toMatchObject({ error_description: "A 'quoted' ? thing??X: y ? ?? ~" });
  });
});

describe('what was thrown', () => {
  test('stays as it is when it is of OAuth', () => {
    const error = new OAuthError('invalid_target', 'No such resource.');
    expect(toOAuthError(error)).toBe(error);
  });

  test.each([
    ['args/malformed', 'invalid_request', 400],
    ['args/too-large', 'invalid_request', 413],
    ['args/media-type', 'invalid_request', 415],
    ['args/method', 'invalid_request', 405],
    ['access/not-admitted', 'access_denied', 403],
    ['limit/requests', 'temporarily_unavailable', 429],
    ['unavailable', 'temporarily_unavailable', 503],
    ['outcome-unknown', 'server_error', 500],
    ['internal', 'server_error', 500],
  ] as const)('%s becomes %s', (code, expected, status) => {
    expect(toOAuthError(new FrameError(code, 'A sentence.'))).toMatchObject({ code: expected, status });
  });

  test('never blames the client for what is ours', () => {
    const blaming = ERROR_CODES.filter(code => {
      const { code: translated } = toOAuthError(new FrameError(code, 'A sentence.'));
      return ['invalid_client', 'invalid_grant', 'unauthorized_client'].includes(translated);
    });
    expect(blaming).toEqual([]);
  });

  test('says when to come back', () => {
    const busy = toOAuthResponse(toOAuthError(unavailable('The database is busy.', { retryAfterSeconds: 7 })));
    expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '7']);
    const many = toOAuthResponse(toOAuthError(new FrameError('limit/requests', 'Too many.')));
    expect([many.status, many.headers.get('retry-after')]).toEqual([429, '1']);
  });

  test('closes the connection when the body was not read', () => {
    const response = toOAuthResponse(toOAuthError(new FrameError('args/too-large', 'Too much.')));
    expect(response.headers.get('connection')).toBe('close');
  });

  test('keeps what nobody foresaw to itself', async () => {
    const error = toOAuthError(new TypeError('password of frame_control is hunter2'));
    expect(await toOAuthResponse(error).text()).not.toContain('hunter2');
    expect(error.detail).toContain('hunter2');
  });
});
