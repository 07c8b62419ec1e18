import { connect } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { describe, expect, test } from 'vitest';
import { isKeyIn, readCredentials, SHORTEST_KEY } from '../../src/access/credentials.ts';
import { startServer } from './fixtures.ts';

const ADDRESS = 'https://axe.example/frame/mcp';

const read = (authorization: string | undefined, address = ADDRESS) =>
  readCredentials(new Headers(authorization === undefined ? {} : { authorization }), new URL(address));

const KEY = `frame_dev_${'aB3'.repeat(16)}`;

describe('X-API-Key', () => {
  const withKey = (key: string, authorization?: string) =>
    readCredentials(new Headers({ 'x-api-key': key, ...(authorization && { authorization }) }), new URL(ADDRESS));

  test('alone is the key of a script', () => {
    expect(withKey(KEY)).toEqual({ apiKey: KEY });
  });

  test.each([KEY, 'frame_abc', 'anything'])('is never ignored beside a token: %s', key => {
    expect(withKey(key, 'Bearer abc')).toEqual({ token: 'abc', apiKey: key });
  });

  test('beside a scheme that we do not know is a key alone', () => {
    expect(withKey(KEY, 'Basic dXNlcjpwYXNz')).toEqual({ apiKey: KEY });
  });

  test('beside a malformed token does not make up for it', () => {
    expect(withKey(KEY, 'Bearer a b')).toEqual({ refused: 'credential-malformed' });
  });

  test('empty is none', () => {
    expect(withKey('')).toEqual({ refused: 'credential-missing' });
  });

  test.each(['a, b', `${KEY},${KEY}`])('twice is more than one: %s', key => {
    expect(withKey(key)).toEqual({ refused: 'credential-twice' });
  });

  test('beside another key where a token stands is more than one', () => {
    expect(withKey(KEY, `Bearer ${KEY}`)).toEqual({ refused: 'credential-twice' });
  });
});

describe('the Authorization header', () => {
  test.each([
    'Bearer abc.def-_~+/123==',
    'bearer abc.def-_~+/123==',
    'BEARER    abc.def-_~+/123==',
    '  Bearer abc.def-_~+/123==  ',
  ])('%j holds a token', authorization => {
    expect(read(authorization)).toEqual({ token: 'abc.def-_~+/123==' });
  });

  test('may hold a key, for programs that know no other header', () => {
    expect(read(`Bearer ${KEY}`)).toEqual({ apiKey: KEY });
  });

  test.each([`${KEY}x`, KEY.slice(0, -1), `frame_at_${'a'.repeat(43)}`, `frame_Dev_${'a'.repeat(48)}`])(
    'holds a token in %s, which has not the form of a key',
    token => {
      expect(read(`Bearer ${token}`)).toEqual({ token });
    },
  );

  test.each([undefined, '', '   '])('%j is no credential', authorization => {
    expect(read(authorization)).toEqual({ refused: 'credential-missing' });
  });

  test.each(['Basic dXNlcjpwYXNz', 'Negotiate abc', 'abc.def.ghi', 'BearerX abc', 'Bearer\tabc'])(
    '%j is a scheme we do not know, so no credential either (RFC 6750 §3.1)',
    authorization => {
      expect(read(authorization)).toMatchObject({ refused: 'credential-missing' });
    },
  );

  test.each([
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer a b c',
    'Bearer Bearer a',
    'Bearer =',
    'Bearer a=b',
    'Bearer "a"',
    'Bearer a;b',
    'Bearer ä',
    'Bearer a\u00a0b',
  ])('%j is malformed', authorization => {
    expect(read(authorization)).toEqual({ refused: 'credential-malformed' });
  });

  test.each([
    'Bearer a, Bearer b',
    'Bearer a,Bearer a',
    'Bearer a,',
    ', Bearer a',
    'Basic x, Bearer a',
    'Bearer a, Basic x',
  ])('%j is more than one', authorization => {
    expect(read(authorization)).toEqual({ refused: 'credential-twice' });
  });

  test('sent twice on the wire is more than one', async () => {
    const server = await startServer(
      getRequestListener(({ headers, url }) => Response.json(readCredentials(headers, new URL(url)))),
    );
    const socket = connect(Number(new URL(server.origin).port), '127.0.0.1');
    socket.end(
      'GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\nConnection: close\r\n\r\n',
    );
    const answer = (await socket.toArray()).join('');
    await server.close();
    expect(answer).toContain('{"refused":"credential-twice"}');
  });
});

describe('the address', () => {
  test.each([
    'access_token',
    'ACCESS_TOKEN',
    'access-token',
    'token',
    'api_key',
    'apikey',
    'api-key',
    'X-API-Key',
    'authorization',
    'bearer',
    'jwt',
    'id_token',
    '%61ccess_token',
  ])('must not carry %s, whatever the header says', name => {
    expect(read('Bearer good', `${ADDRESS}?${name}=abc`)).toEqual({ refused: 'credential-in-url' });
    expect(read(undefined, `${ADDRESS}?a=b&${name}`)).toEqual({ refused: 'credential-in-url' });
  });

  test.each([`?q=${KEY}`, `?a=b&c=x${KEY}y`, `/${KEY}`, `?q=${KEY.replace('_', '%5F')}`])(
    'must not carry a key anywhere: %s',
    rest => {
      expect(read('Bearer good', `${ADDRESS}${rest}`)).toEqual({ refused: 'credential-in-url' });
    },
  );

  test.each([
    `q=frame_at_${'aB-_'.repeat(11).slice(0, 43)}`,
    'x=eyJhbGciOiJub25lIn0.eyJhIjoxfQ.',
    'password=x',
    'secret=x',
  ])('must not carry a token by another name: %s', query => {
    expect(read('Bearer good', `${ADDRESS}?${query}`)).toEqual({ refused: 'credential-in-url' });
  });

  test('is looked through by its length first: no key is shorter', () => {
    expect(KEY.replace('_dev_', '_r_')).toHaveLength(SHORTEST_KEY);
    for (const rest of [`/${KEY}`, `/?q=${KEY}`, `/?${KEY}`, `/?a=1&${KEY.replace('_', '%5F')}=2`]) {
      expect(isKeyIn(new URL(`https://axe.example${rest}`))).toBe(true);
    }
    expect(isKeyIn(new URL(`https://axe.example/?q=${KEY.slice(0, -1)}`))).toBe(false);
  });

  test.each(['tokens=1', 'a=access_token', 'next_token=1', 'key=1'])('may carry %s', query => {
    expect(read('Bearer good', `${ADDRESS}?${query}`)).toEqual({ token: 'good' });
  });
});
