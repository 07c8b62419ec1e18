import { describe, expect, test } from 'vitest';
import type { Client } from '../../src/broker/clients.ts';
import { isAllowedRedirect, isLoopbackRedirect, matchesRedirect } from '../../src/broker/redirect-uri.ts';

const OURS = ['https://axe.axelabs.ai', 'http://127.0.0.1:3712'];

describe('what a client may register', () => {
  test.each([
    'https://claude.ai/api/mcp/auth_callback',
    'https://vscode.dev/redirect',
    'https://client.example',
    'https://client.example:8443/callback?tenant=1&x=%20',
    'https://client.example/a/../b',
    'https://[2606:4700::1111]/callback',
    'https://localhost/callback',
    'http://localhost/callback',
    'http://127.0.0.1:33418/',
    'http://127.0.0.1',
    'http://[::1]:1234/callback',
    'cursor://anysphere.cursor-mcp/oauth/callback',
  ])('%s', uri => {
    expect(isAllowedRedirect(uri, OURS)).toBe(true);
  });

  test.each([
    '',
    'client.example/callback',
    '//client.example/callback',
    // Schemes that run, read or belong to nobody we know.
    'javascript:alert(1)',
    'JavaScript://client.example/%0aalert(1)',
    'java\tscript:alert(1)',
    ' javascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://client.example/1',
    'about:blank',
    'ws://localhost/callback',
    'vscode://anything',
    'com.example.app:/callback',
    // Nearly Cursor.
    'cursor://anysphere.cursor-mcp/oauth/callback/',
    'cursor://anysphere.cursor-mcp/oauth/callback?x=1',
    'cursor://anysphere.cursor-mcp/oauth/callback#x',
    'CURSOR://anysphere.cursor-mcp/oauth/callback',
    'cursor://evil.example/oauth/callback',
    // http to somewhere else.
    'http://client.example/callback',
    'http://127.0.0.2/callback',
    'http://0.0.0.0/callback',
    'http://2130706433/callback',
    'http://0x7f.1/callback',
    'http://127.1/callback',
    'http://[::]/callback',
    'http://[::ffff:127.0.0.1]/callback',
    'http://localhost./callback',
    'http://localhost.evil.example/callback',
    'http://localhost:80@evil.example/callback',
    'http://127.0.0.1:99999/callback',
    'http://127.0.0.1\\@evil.example/callback',
    'http://LOCALHOST/callback',
    // Two parsers, two hosts.
    'https:/client.example/callback',
    'https:client.example/callback',
    'https:///client.example/callback',
    'https://user@client.example/callback',
    'https://user:pass@client.example/callback',
    'https://@client.example/callback',
    'https://client.example\\@evil.example/callback',
    'https://client.example/call\\back',
    'https://client.example/call back',
    'https://client.example/call\nback',
    'https://clïent.example/callback',
    'https://client.example/callbäck',
    'https://%63lient.example/callback',
    'https://client.example:port/callback',
    'https://client.example:99999/callback',
    'https://',
    // Fragments and wildcards.
    'https://client.example/callback#',
    'https://client.example/callback#fragment',
    'http://localhost/callback#fragment',
    'https://*.client.example/callback',
    'https://client.example/*',
    'http://localhost:*/callback',
    `https://client.example/${'a'.repeat(2000)}`,
    // Us, in every spelling.
    'https://axe.axelabs.ai/callback/entra',
    'https://axe.axelabs.ai',
    'https://AXE.axelabs.AI/vault',
    'https://axe.axelabs.ai./vault',
    'https://axe.axelabs.ai:8443/vault',
    'http://127.0.0.1:3712/callback/entra',
    'http://localhost:3712/callback/entra',
    'http://[::1]:3712/callback/entra',
  ])('not %j', uri => {
    expect(isAllowedRedirect(uri, OURS)).toBe(false);
  });
});

describe('where a client may have its answer', () => {
  test.each([
    ['https://client.example/callback', 'https://client.example/callback'],
    ['http://localhost/callback', 'http://localhost:51234/callback'],
    ['http://localhost:3118/callback', 'http://localhost:51234/callback'],
    ['http://localhost:3118/callback', 'http://localhost/callback'],
    ['http://127.0.0.1/', 'http://127.0.0.1:33418/'],
    ['http://[::1]/a?b=c', 'http://[::1]:9/a?b=c'],
    ['cursor://anysphere.cursor-mcp/oauth/callback', 'cursor://anysphere.cursor-mcp/oauth/callback'],
  ])('registered %s, asked %s', (registered, asked) => {
    expect(matchesRedirect(clientOf('https://other.example/', registered), asked, OURS)).toBe(true);
  });

  test.each([
    ['https://client.example/callback', 'https://client.example/callback/'],
    ['https://client.example/callback', 'https://client.example/callback?x=1'],
    ['https://client.example/callback', 'https://client.example/CALLBACK'],
    ['https://client.example/callback', 'https://CLIENT.example/callback'],
    ['https://client.example/callback', 'https://client.example:443/callback'],
    ['https://client.example/callback', 'https://client.example:8443/callback'],
    ['https://client.example/callback', 'http://client.example/callback'],
    ['https://client.example/callback', 'https://client.example/callback/../callback'],
    ['https://client.example/callback', 'https://evil.example/callback'],
    ['https://client.example/callback', 'https://client.example.evil.example/callback'],
    ['https://client.example', 'https://client.example/'],
    ['https://localhost/callback', 'https://localhost:51234/callback'],
    ['http://localhost/callback', 'http://127.0.0.1:51234/callback'],
    ['http://localhost/callback', 'https://localhost/callback'],
    ['http://localhost/callback', 'http://localhost:51234/callback/'],
    ['http://localhost/callback', 'http://localhost:51234/Callback'],
    ['http://localhost/callback', 'http://localhost:51234/callback?x=1'],
    ['http://localhost/callback', 'http://localhost:51234/callback#x'],
    ['http://localhost/callback', 'http://localhost:51234@evil.example/callback'],
    ['http://localhost/callback', 'http://localhost.evil.example/callback'],
    ['http://localhost/callback', 'http://localhost:99999/callback'],
    ['http://localhost/callback', 'http://localhost:/callback'],
    // The port does not count, so it could be ours.
    ['http://127.0.0.1/callback/entra', 'http://127.0.0.1:3712/callback/entra'],
    ['http://localhost/callback/entra', 'http://localhost:3712/callback/entra'],
  ])('registered %s, not asked %s', (registered, asked) => {
    expect(matchesRedirect(clientOf(registered), asked, OURS)).toBe(false);
  });

  test('what should never have been registered is not matched either', () => {
    expect(matchesRedirect(clientOf('javascript:alert(1)'), 'javascript:alert(1)', OURS)).toBe(false);
    expect(matchesRedirect(clientOf('https://axe.axelabs.ai/x'), 'https://axe.axelabs.ai/x', OURS)).toBe(false);
  });
});

test('the pages warn of the own machine only', () => {
  expect(isLoopbackRedirect('http://localhost:51234/callback')).toBe(true);
  expect(isLoopbackRedirect('https://client.example/callback')).toBe(false);
  expect(isLoopbackRedirect('cursor://anysphere.cursor-mcp/oauth/callback')).toBe(false);
});

function clientOf(...redirectUris: string[]): Client {
  return { id: 'fc_1', name: 'Client', host: undefined, kind: 'registered', redirectUris };
}
