import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeSecretText } from '../../src/access/secret-text.ts';
import { issueTokens } from '../../src/access/session-tokens.ts';
import { openSession } from '../../src/access/sessions.ts';
import { CONTROL_DATABASE } from '../../src/database/place.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { ask, modern, objectOf, post } from '../e2e/wire.ts';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';

/** A gateway as it runs for customers: strangers at the token endpoint, and somebody who is signed in. */
const HOST = 'axe.example';
const TENANT = '122fb574-0000-4000-8000-0000000000a1';

let postgres: OwnPostgres;
let home: FrameHome;
let serving: Serving;
let owner: OwnerConnection;
let holder: OwnerConnection;

beforeAll(async () => {
  postgres = await startOwnPostgres();
  home = await makeFrameHome(CUSTOMERS);
  const key = await home.writeFile('master.key', `${randomBytes(32).toString('base64')}\n`, 0o600);
  const env = { FRAME_DATABASE_URL: postgres.url.reveal(), FRAME_MASTER_KEY_FILE: key };
  expect((await home.run(['migrate'], { env })).exit).toBe(0);
  serving = await home.serve({ env });
  owner = await postgres.server.connectAsOwner(CONTROL_DATABASE);
  holder = await postgres.server.connectAsOwner(CONTROL_DATABASE);
});
afterAll(async () => {
  await holder?.close();
  await owner?.close();
  await home?.remove();
  await postgres?.remove();
});

const CUSTOMERS = `customers:
  axe:
    name: AXE LLC
    origin: https://${HOST}
    domains: [axe.example]
    entra:
      tenant_id: ${TENANT}
      client_id: 6f0c0000-0000-4000-8000-0000000000a1
      client_secret: secret
      audience: [6f0c0000-0000-4000-8000-0000000000a1]
      scope: x
    sign_in: broker
    entities: { axe: { name: AXE } }
    access:
      - { who: "*@axe.example", role: view }
`;

async function signIn(): Promise<string> {
  const nowMs = Date.now();
  const facts = {
    customer: 'axe',
    person: {
      tenantId: TENANT,
      objectId: '0b1ec700-0000-4000-8000-0000000000a1',
      username: 'ada@axe.example',
      name: 'Ada Axe',
      groups: [],
      appRoles: [],
      isGuest: false,
    },
    client: { id: 'client-1', name: 'Claude', host: undefined },
    resource: `https://${HOST}/frame/mcp`,
    scopes: ['frame:read'],
  };
  const run = (text: string, params: readonly unknown[] = []) => owner.query(text, [...params]);
  const expiresAt = nowMs + 3_600_000;
  const id = await openSession(run, facts, nowMs, expiresAt);
  const times = { createdAt: nowMs, lastUsedAt: nowMs, expiresAt };
  const session = { ...facts, id, ...times, isRevoked: false };
  return (await issueTokens(run, session, facts.scopes, { accessMinutes: 15, refreshDays: 30 }, nowMs)).accessToken;
}

async function guess(): Promise<unknown> {
  const form = {
    grant_type: 'authorization_code',
    client_id: `fc_${randomBytes(24).toString('base64url')}`,
    code: makeSecretText('code'),
    redirect_uri: 'https://client.example/cb',
    code_verifier: 'x'.repeat(43),
  };
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const body = `${new URLSearchParams(form)}`;
  return objectOf(await ask(serving.port, '/token', { method: 'POST', host: HOST, headers, body })).error;
}

test('however long the database takes for the codes of strangers, who is signed in gets in', async () => {
  const tokens = await Promise.all(Array.from({ length: 10 }, signIn));
  await holder.query('begin');
  await holder.query('lock table frame.oauth_codes in access exclusive mode');
  const guesses = Promise.all(Array.from({ length: 100 }, guess));
  const waiting = `select from pg_stat_activity where usename = 'frame_control' and wait_event_type = 'Lock'`;
  await expect.poll(async () => (await owner.query(waiting)).count, { interval: 10 }).toBeGreaterThanOrEqual(2);
  for (const token of tokens) {
    const reply = await post({ port: serving.port, host: HOST, token }, ...modern('tools/list'));
    expect(reply.status).toBe(200);
  }
  await holder.query('rollback');
  for (const error of await guesses) expect(['temporarily_unavailable', 'invalid_client']).toContain(error);
});
