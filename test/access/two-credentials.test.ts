import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AccessTokens, createAccessTokens } from '../../src/access/access-token.ts';
import { createApiKey } from '../../src/access/api-key-table.ts';
import { type ApiKeys, createApiKeys } from '../../src/access/api-keys.ts';
import { type Access, createAccess } from '../../src/access/authenticate.ts';
import { createRates } from '../../src/access/rates.ts';
import { provision } from '../../src/database/provision.ts';
import { observeNothing } from '../../src/observe.ts';
import { NOW, rule, sampleCustomer } from './fixtures.ts';
import { openSignInDatabase, type SignInDatabase } from './sign-in-database.ts';

/** A person who signed in to read, with the key of an agent beside the token. */
const ORIGIN = 'https://axe.example';
const TOOLS = [
  { name: 'select_rows', kind: 'read' },
  { name: 'search_audit', kind: 'read' },
  { name: 'insert_rows', kind: 'write' },
  { name: 'delete_rows', kind: 'destructive' },
] as const;
const roles = new Map([
  ['admin', new Set(['*'])],
  ['editor', new Set(['select_rows', 'insert_rows'])],
  ['view', new Set(['select_rows'])],
]);
const limits = {
  leewaySeconds: 60,
  rememberSeconds: 300,
  rememberTokens: 100,
  keysMaxAgeMinutes: 60,
  keysStaleHours: 24,
  keysCooldownSeconds: 30,
  keysTimeoutSeconds: 5,
};
const axe = sampleCustomer({
  signIn: 'broker',
  access: [rule(1, { kind: 'domain', domain: 'axe.example' }, 'admin')],
});

let database: SignInDatabase;
let accessTokens: AccessTokens;
let apiKeys: ApiKeys;
let access: Access;

beforeAll(async () => {
  const passwordOf = (role: string) => `password of ${role}`;
  database = await openSignInDatabase(passwordOf);
  await provision(database.postgres.server, [axe], passwordOf, observeNothing);
  const { pools } = database;
  const parts = { pools, now: () => database.clock.now, observe: observeNothing };
  accessTokens = await createAccessTokens({ ...parts, limits });
  apiKeys = await createApiKeys({
    ...parts,
    rates: createRates({ pools, now: Date.now }),
    onExposed: async () => {},
  });
  access = createAccess({
    ...parts,
    fetch: () => Promise.reject(new Error('Entra is not asked')),
    roles,
    tools: TOOLS,
    apiKeys,
    accessTokens,
    limits,
    onTurnedAway: async () => {},
  });
});

afterAll(async () => {
  await Promise.all([accessTokens?.close(), apiKeys?.close()]);
  await database?.close();
});

async function authenticate(scopes: string[], role: string) {
  const place = { customer: 'axe', entity: 'axe', environment: 'prod' } as const;
  const [text] = await createApiKey(
    database.run,
    { ...place, role, name: 'agent', createdBy: 'operator', expiresAt: NOW + 86_400_000, networks: undefined },
    NOW,
  );
  const { accessToken } = await database.signIn({ scopes });
  const headers = new Headers({ authorization: `Bearer ${accessToken}`, 'x-api-key': text });
  return access.authenticate(
    { headers, url: new URL(`${ORIGIN}/frame/mcp`), origin: ORIGIN, requestId: 'r-1', from: '127.0.0.1' },
    [axe],
  );
}

test.each([
  ['admin', ['select_rows', 'search_audit'], ['insert_rows', 'delete_rows']],
  ['editor', ['select_rows'], ['insert_rows']],
  ['view', ['select_rows'], []],
])(
  'beside a key of role %s, a scope would help only where the key does not stand in the way',
  async (role, tools, withheld) => {
    expect(await authenticate(['frame:read'], role)).toMatchObject({
      role: 'admin',
      tools: new Set(tools),
      withheldTools: new Set(withheld),
    });
  },
);

test('with all scopes, nothing is withheld', async () => {
  const caller = await authenticate(['frame:read', 'frame:write'], 'editor');
  expect(caller.tools).toEqual(new Set(['select_rows', 'insert_rows']));
  expect(caller.withheldTools).toBeUndefined();
});
