import { describe, expect, test } from 'vitest';
import { readDocumentUrl } from '../../src/broker/document-url.ts';
import { isPublicAddress } from '../../src/broker/special-use-addresses.ts';

describe('an address on the internet', () => {
  test.each(['1.1.1.1', '8.8.8.8', '93.184.215.14', '172.15.255.255', '172.32.0.0', '100.63.255.255', '100.128.0.0'])(
    '%s',
    address => expect(isPublicAddress(address)).toBe(true),
  );
  test.each(['2606:4700::1111', '2a00:1450:4001:80b::200e', '2001:4860:4860::8888'])('%s', address =>
    expect(isPublicAddress(address)).toBe(true),
  );

  test.each([
    '0.0.0.0',
    '0.1.2.3',
    '10.0.0.1',
    '100.64.0.1',
    '100.100.100.100',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
  ])('not %s', address => expect(isPublicAddress(address)).toBe(false));

  test.each([
    '::',
    '::1',
    '::127.0.0.1',
    '::ffff:10.0.0.1',
    '::ffff:169.254.169.254',
    '::ffff:8.8.8.8',
    '::FFFF:7f00:1',
    '64:ff9b::7f00:1',
    '64:ff9b::8.8.8.8',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '2001:2::1',
    '2001:20::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2002:a9fe:a9fe::1',
    '2620:4f:8000::1',
    '3fff::1',
    '5f00::1',
    'fc00::1',
    'fd7a:115c:a1e0::1',
    'fe80::1',
    'fe80::1%lo',
    '2606:4700::1111%eth0',
    'fec0::1',
    'ff02::1',
  ])('not %s', address => expect(isPublicAddress(address)).toBe(false));

  test.each([
    '',
    'localhost',
    'client.example',
    '1.1.1',
    '0x7f000001',
    '2130706433',
    '1.1.1.1 ',
    '[::1]',
    '1.1.1.1/32',
  ])('not %j, which is none', address => expect(isPublicAddress(address)).toBe(false));
});

describe('a client id that is the address of a document', () => {
  test.each([
    'https://claude.ai/oauth/mcp-oauth-client-metadata',
    'https://client.example/a',
    'https://client.example/a/?b=c',
    'https://xn--bcher-kva.example/client.json',
    'https://client.xn--p1ai/client.json',
  ])('%s', clientId => expect(readDocumentUrl(clientId, OURS)?.href).toBe(clientId));

  test.each([
    'http://client.example/client.json',
    'HTTPS://client.example/client.json',
    'https:/client.example/client.json',
    'https:\\\\client.example\\client.json',
    ' https://client.example/client.json',
    'https://client.example/client.json\n',
    'https://client.example/cli\tent.json',
    'https://client.example',
    'https://client.example/',
    'https://CLIENT.example/client.json',
    'https://client.example:443/client.json',
    'https://client.example:8443/client.json',
    'https://client.example/client.json#',
    'https://client.example/client.json#fragment',
    'https://user@client.example/client.json',
    'https://user:pass@client.example/client.json',
    'https://@client.example/client.json',
    'https://client.example/../client.json',
    'https://client.example/a/./client.json',
    'https://client.example/a/%2e%2e/client.json',
    'https://client.example/a/%2E/client.json',
    'https://client.example./client.json',
    'https://client/client.json',
    'https://localhost/client.json',
    'https://bücher.example/client.json',
    'https://client。example/client.json',
    'https://127.0.0.1/client.json',
    'https://1.1.1.1/client.json',
    'https://2130706433/client.json',
    'https://0x7f000001/client.json',
    'https://0177.0.0.1/client.json',
    'https://127.1/client.json',
    'https://[::1]/client.json',
    'https://[::ffff:169.254.169.254]/client.json',
    'https://[2606:4700::1111]/client.json',
    'https://169.254.169.254/latest/meta-data',
    `https://client.example/${'a'.repeat(2000)}`,
    'https://axe.axelabs.ai/authorize?client_id=https://axe.axelabs.ai/authorize',
  ])('not %j', clientId => expect(readDocumentUrl(clientId, OURS)).toBe(undefined));
});

const OURS = ['https://axe.axelabs.ai'];
