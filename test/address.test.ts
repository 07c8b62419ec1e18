import { describe, expect, test } from 'vitest';
import { isLoopback, networkOf, parseHostPort, plainAddress, whyNotOrigin } from '../src/address.ts';

describe('host:port', () => {
  test.each([
    ['127.0.0.1:3710', { host: '127.0.0.1', port: 3710 }],
    ['[::1]:3710', { host: '::1', port: 3710 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['0.0.0.0:65535', { host: '0.0.0.0', port: 65_535 }],
    ['127.0.0.1', undefined],
    [':3710', undefined],
    ['3710', undefined],
    ['::1:3710', undefined],
    ['127.0.0.1:65536', undefined],
    ['127.0.0.1:-1', undefined],
    ['127.0.0.1:', undefined],
    ['127.0.0.1:37 10', undefined],
    ['http://127.0.0.1:3710', undefined],
    ['127.0.0.1:3710/frame', undefined],
    ['127.0.0.1:3710\n', undefined],
    ['', undefined],
  ])('%j', (text, address) => {
    expect(parseHostPort(text)).toEqual(address);
  });
});

describe('an origin', () => {
  test.each([
    'https://a.example',
    'https://a.example:8443',
    'http://localhost:3712',
    'http://a.localhost',
    'http://[::1]',
  ])('%s', text => {
    expect(whyNotOrigin(text)).toBeUndefined();
  });

  test.each([
    'https://a.example/',
    'https://a.example?x',
    'https://a.example#x',
    'https://a.example:443',
    'https://A.example',
    'https://me:secret@a.example',
    'http://a.example',
    'http://localhost.a.example',
    'http://127.0.0.1.a.example',
    'ws://a.example',
    'javascript:alert(1)',
    ' https://a.example',
    'https://a.example\n',
    'https://',
    'a.example',
    '',
  ])('%j is none', text => {
    expect(whyNotOrigin(text)).toMatch(/^must be /);
  });
});

test('loopback is this machine and nothing that looks like it', () => {
  expect(
    ['localhost', 'a.localhost', '127.0.0.1', '127.9.9.9', '::1', '[::1]'].filter(host => !isLoopback(host)),
  ).toEqual([]);
  expect(['localhost.a', 'xlocalhost', '128.0.0.1', '127.0.0.1.a', '10.0.0.1', '::2', ''].filter(isLoopback)).toEqual(
    [],
  );
});

describe('the plain address', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::ffff:a01:203', '10.1.2.3'],
    ['::FFFF:0A01:0203', '10.1.2.3'],
    ['0:0:0:0:0:ffff:a01:203', '10.1.2.3'],
    ['0000:0000:0000:0000:0000:ffff:10.1.2.3', '10.1.2.3'],
    ['::ffff:0:a01:203', '::ffff:0:a01:203'],
    ['::a01:203', '::a01:203'],
    ['64:ff9b::a01:203', '64:ff9b::a01:203'],
    ['2001:DB8::7', '2001:DB8::7'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['::ffff:a01:203:1', '::ffff:a01:203:1'],
    ['::ffff:10.1.2.300', '::ffff:10.1.2.300'],
    ['unknown', 'unknown'],
    ['', ''],
  ])('of %j is %j', (address, plain) => {
    expect(plainAddress(address)).toBe(plain);
  });
});

describe('the network that a limit counts', () => {
  test.each([
    ['203.0.113.7', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['::FFFF:cb00:7107', '203.0.113.7'],
    ['0:0:0:0:0:ffff:203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2::7', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002:0000:0000:0000:0007', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::7', '2001:db8:1:3::/64'],
    ['2001:db8::7', '2001:db8:0:0::/64'],
    ['2001:db8::1:2:3:4:5', '2001:db8:0:1::/64'],
    ['1::', '1:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['64:ff9b::203.0.113.7', '64:ff9b:0:0::/64'],
    ['unknown', 'unknown'],
    ['::ffff:203.0.113.700', '::ffff:203.0.113.700'],
    ['50%', '50%'],
    ['', ''],
  ])('of %j is %j', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
