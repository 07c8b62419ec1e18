import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AccessRule, Customer, Who } from '../../src/customers/customer.ts';
import type { Observation } from '../../src/observe.ts';

export const TENANT = '11111111-0000-4000-8000-000000000001';
export const OTHER_TENANT = '22222222-0000-4000-8000-000000000002';
export const OBJECT = '33333333-0000-4000-8000-000000000003';
export const API = '44444444-0000-4000-8000-000000000004';
export const API_URI = 'api://axe.example/frame';

/** 2026-11-20T12:00:00Z in milliseconds. */
export const NOW = Date.UTC(2026, 10, 20, 12);

/** For tests in which nobody has a key. */
export const NO_KEYS = {
  find: () => Promise.reject(new Error('nobody has a key here')),
  revokeExposed: async () => {},
};

export function sampleCustomer(
  changes: Partial<Omit<Customer, 'entra'>> & { entra?: Partial<Customer['entra']> } = {},
): Customer {
  const entity = { id: 'axe', name: 'AXE', environments: ['prod'] as const };
  return {
    id: 'axe',
    name: 'AXE LLC',
    origin: 'https://axe.example',
    host: undefined,
    domains: ['axe.example'],
    signIn: 'direct',
    entities: [entity],
    access: [rule(1, { kind: 'domain', domain: 'axe.example' }, 'view')],
    services: {},
    ...changes,
    entra: {
      tenantId: TENANT,
      audience: [API_URI, API],
      scope: 'access_as_user',
      clientId: undefined,
      clientSecret: undefined,
      authority: 'https://login.microsoftonline.com',
      guests: false,
      ...changes.entra,
    },
  };
}

export function rule(number: number, who: Who, role: string): AccessRule {
  return { number, text: `${who.kind} as ${role}`, who, role, entities: undefined };
}

export interface TestKey {
  kid: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
}

export function createKey(kid: string, modulusLength = 2048): TestKey {
  return { kid, ...generateKeyPairSync('rsa', { modulusLength }) };
}

export function toJwk({ kid, publicKey }: TestKey): Record<string, unknown> {
  return { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' };
}

/** Signs whatever it is given, well-formed or not. A part that is a string goes in as it stands. */
export function forge(header: object | string, claims: object | string, key: KeyObject): string {
  const encode = (part: object | string) =>
    Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
}

/** What a v2 access token of Entra says. */
export function sampleClaims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    aud: API,
    iss: `https://login.microsoftonline.com/${TENANT}/v2.0`,
    iat: NOW / 1000 - 60,
    nbf: NOW / 1000 - 60,
    exp: NOW / 1000 + 3600,
    name: 'Ada Example',
    oid: OBJECT,
    preferred_username: 'ada@axe.example',
    scp: 'access_as_user',
    sub: 'pairwise',
    tid: TENANT,
    ver: '2.0',
    ...changes,
  };
}

/** What a v1 access token says instead. */
export function sampleV1Claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const { preferred_username: _, ...rest } = sampleClaims();
  return {
    ...rest,
    aud: API_URI,
    iss: `https://sts.windows.net/${TENANT}/`,
    unique_name: 'ada@axe.example',
    upn: 'ada@axe.example',
    ver: '1.0',
    ...changes,
  };
}

export interface TestServer {
  origin: string;
  close(): Promise<void>;
}

export async function startServer(listener: RequestListener): Promise<TestServer> {
  const server = createServer(listener);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    origin: `http://127.0.0.1:${address.port}`,
    async close() {
      if (!server.listening) return;
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}

/** Keeps what was observed, and finds it again by kind. */
export function recordObservations() {
  const seen: Observation[] = [];
  return {
    observe: (observation: Observation) => void seen.push(observation),
    of<Kind extends Observation['kind']>(kind: Kind): Extract<Observation, { kind: Kind }>[] {
      return seen.filter((one): one is Extract<Observation, { kind: Kind }> => one.kind === kind);
    },
  };
}
