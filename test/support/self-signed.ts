import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

/** A key and a certificate for it, made on the spot: a repository is no place for keys, not even for those of tests. */
export function selfSigned(
  hostname: string,
  { from = Date.now() - DAY_MS, to = Date.now() + DAY_MS } = {},
): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(set(sequence(oid(2, 5, 4, 3), utf8(hostname))));
  const validity = sequence(utcTime(from), utcTime(to));
  const altName = sequence(oid(2, 5, 29, 17), octets(sequence(tagged(0x82, Buffer.from(hostname)))));
  const version3 = tagged(0xa0, integer(Buffer.from([2])));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const serial = integer(Buffer.concat([Buffer.from([1]), randomBytes(8)]));
  const body = sequence(version3, serial, ECDSA_SHA256, name, validity, name, spki, tagged(0xa3, sequence(altName)));
  const signature = tagged(0x03, Buffer.from([0]), sign('sha256', body, privateKey));
  const der = sequence(body, ECDSA_SHA256, signature);
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n'),
  };
}

// Private: as much of DER (X.690) as a certificate (RFC 5280) needs.

const DAY_MS = 86_400_000;
const ECDSA_SHA256 = sequence(oid(1, 2, 840, 10045, 4, 3, 2));

function tagged(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

function set(...parts: Buffer[]): Buffer {
  return tagged(0x31, ...parts);
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function octets(bytes: Buffer): Buffer {
  return tagged(0x04, bytes);
}

function utf8(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text));
}

function utcTime(ms: number): Buffer {
  return tagged(
    0x17,
    Buffer.from(
      `${new Date(ms)
        .toISOString()
        .replaceAll(/[-:T]|\.\d+/g, '')
        .slice(2)}`,
    ),
  );
}

function oid(first: number, second: number, ...rest: number[]): Buffer {
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const bytes = [value & 127];
  for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 127) | 128);
  return bytes;
}
