import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  discoverAuthorizationServerMetadata,
  exchangeAuthorization,
  refreshAuthorization,
  startAuthorization,
} from '@modelcontextprotocol/client';
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createStandInEntra, type StandInEntra } from '../../../src/demo/entra/stand-in-entra.ts';
import type { StandInTenant } from '../../../src/demo/entra/tenant.ts';
import { AXE, AXE_API, axe, BOLT, bolt, NATIVE, RESOURCE } from './sample-tenants.ts';
import { answerLogin, obtainCode, postToken, REDIRECT, readJson } from './sign-in.ts';

const AUTHORITY = 'http://127.0.0.1:3713';

const create = (dataFolder?: string, tenants: readonly StandInTenant[] = [axe, bolt]) =>
  createStandInEntra({ tenants, now: Date.now, dataFolder, authority: AUTHORITY });

async function publishedKeys(entra: StandInEntra, tenantId = AXE) {
  const { keys } = await readJson(await entra.app.request(`/${tenantId}/discovery/v2.0/keys`));
  return { keys: z.array(z.looseObject({ kty: z.string() })).parse(keys) };
}

const holds = async (entra: StandInEntra, token: string, tenantId = AXE) =>
  jwtVerify(token, createLocalJWKSet(await publishedKeys(entra, tenantId))).then(
    () => true,
    () => false,
  );

describe('listening', () => {
  let entra: StandInEntra;
  beforeEach(() => {
    entra = createStandInEntra({ tenants: [axe, bolt], now: Date.now });
  });
  afterEach(() => entra.close());

  test('names the authority, and everything it says begins with it', async () => {
    expect(() => entra.authority).toThrow('before it listens');
    const authority = await entra.listen('127.0.0.1', 0);
    expect(authority).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(entra.authority).toBe(authority);
    const token = await entra.mint('ada@axe.example');
    const keys = createRemoteJWKSet(new URL(`${authority}/${AXE}/discovery/v2.0/keys`));
    const { payload } = await jwtVerify(token, keys, { issuer: `${authority}/${AXE}/v2.0`, audience: AXE_API });
    expect(payload).toMatchObject({ preferred_username: 'ada@axe.example' });
  });

  test('fails aloud on a port that is taken', async () => {
    const authority = await entra.listen('127.0.0.1', 0);
    const second = createStandInEntra({ tenants: [], now: Date.now });
    await expect(second.listen('127.0.0.1', Number(new URL(authority).port))).rejects.toThrow('EADDRINUSE');
    await second.close();
  });

  test('may be closed before, after and twice', async () => {
    await entra.close();
    await entra.listen('127.0.0.1', 0);
    await entra.close();
    await entra.close();
  });

  test('the official client signs in, when the resource is a name of the API', async () => {
    const authority = await entra.listen('127.0.0.1', 0);
    const issuer = `${authority}/${AXE}/v2.0`;
    const metadata = await discoverAuthorizationServerMetadata(issuer);
    expect(metadata?.issuer).toBe(issuer);
    const client = { client_id: NATIVE };
    const resource = new URL(RESOURCE);
    const scope = `${RESOURCE}/access_as_user offline_access`;
    const { authorizationUrl, codeVerifier } = await startAuthorization(issuer, {
      metadata,
      clientInformation: client,
      redirectUrl: REDIRECT,
      scope,
      state: 'x',
      resource,
    });
    const answer = await answerLogin(entra, authorizationUrl.pathname + authorizationUrl.search, {
      person: 'ada@axe.example',
    });
    const tokens = await exchangeAuthorization(issuer, {
      metadata,
      clientInformation: client,
      authorizationCode: answer.searchParams.get('code') ?? '',
      codeVerifier,
      redirectUri: REDIRECT,
      resource,
    });
    expect(decodeJwt(tokens.access_token)).toMatchObject({ aud: AXE_API, scp: 'access_as_user' });
    const fresh = await refreshAuthorization(issuer, {
      metadata,
      clientInformation: client,
      refreshToken: tokens.refresh_token ?? '',
      resource,
    });
    expect(fresh.access_token).not.toBe(tokens.access_token);
  });
});

describe('minting', () => {
  test('finds people by name and object id, in any tenant', async () => {
    const entra = create();
    const claimsOf = async (...args: Parameters<StandInEntra['mint']>) => decodeJwt(await entra.mint(...args));
    expect(await claimsOf('BEN@bolt.example')).toMatchObject({ tid: BOLT, aud: 'api://bolt.example/frame' });
    expect(await claimsOf(axe.people[0]?.objectId ?? '')).toMatchObject({ tid: AXE, scp: 'access_as_user more' });
    await expect(entra.mint('nobody@axe.example')).rejects.toThrow('knows nobody called nobody@axe.example');
    await expect(entra.mint('ada@axe.example', { tenantId: BOLT })).rejects.toThrow('knows nobody');
  });

  test('in the tenant that is named, when people of several have the name', async () => {
    const visitor = {
      objectId: 'bbbbbbbb-0000-4000-8000-0000000000d9',
      name: 'Ada',
      username: 'ada@axe.example',
      guest: true,
    };
    const entra = create(undefined, [axe, { ...bolt, people: [visitor] }]);
    expect(decodeJwt(await entra.mint('ada@axe.example'))).toMatchObject({ tid: AXE });
    expect(decodeJwt(await entra.mint('ada@axe.example', { tenantId: BOLT }))).toMatchObject({
      tid: BOLT,
      unique_name: 'live.com#ada@axe.example',
    });
  });

  test('changes claims and header as it is told', async () => {
    const token = await create().mint('ada@axe.example', {
      claims: { scp: undefined, extra: 1 },
      header: { kid: 'x' },
    });
    expect(decodeJwt(token)).toMatchObject({ extra: 1 });
    expect(decodeJwt(token)).not.toHaveProperty('scp');
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'RS256', typ: 'JWT', kid: 'x' });
  });
});

describe('keys', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'frame-entra-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  const fileOf = (tenantId: string) => join(folder, 'entra', `${tenantId}.json`);

  test('are kept across restarts, for the owner alone', async () => {
    const token = await create(folder).mint('ada@axe.example');
    expect(await holds(create(folder), token)).toBe(true);
    expect((await stat(fileOf(AXE))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'entra'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder, 'entra'))).toEqual([`${AXE}.json`]);
  });

  test('live as long as the process without a folder', async () => {
    const token = await create().mint('ada@axe.example');
    expect(await holds(create(), token)).toBe(false);
  });

  test('differ from tenant to tenant', async () => {
    const entra = create();
    expect(await holds(entra, await entra.mint('ada@axe.example'), BOLT)).toBe(false);
  });

  test('are the same for all who start at once', async () => {
    const all = Array.from({ length: 4 }, () => create(folder));
    const tokens = await Promise.all(all.map(entra => entra.mint('ada@axe.example')));
    expect(new Set(tokens.map(token => decodeProtectedHeader(token).kid)).size).toBe(1);
    expect(await readdir(join(folder, 'entra'))).toEqual([`${AXE}.json`]);
  });

  test('rotate: the last two are published, the newest signs, and a restart knows', async () => {
    const entra = create(folder);
    const first = await entra.mint('ada@axe.example');
    await entra.rotateKeys(AXE);
    const second = await entra.mint('ada@axe.example');
    expect(decodeProtectedHeader(second).kid).not.toBe(decodeProtectedHeader(first).kid);
    expect([await holds(entra, first), await holds(entra, second)]).toEqual([true, true]);
    await entra.rotateKeys(AXE);
    expect([await holds(entra, first), await holds(entra, second)]).toEqual([false, true]);
    expect(await publishedKeys(create(folder))).toEqual(await publishedKeys(entra));
    expect(await readdir(join(folder, 'entra'))).toEqual([`${AXE}.json`]);
    expect((await stat(fileOf(AXE))).mode & 0o777).toBe(0o600);
  });

  test.each(['', '{', '{}', '{"signing":[],"sealing":"x"}'])(
    'that cannot be read (%j) are not replaced',
    async text => {
      await create(folder).mint('ada@axe.example');
      await writeFile(fileOf(AXE), text);
      await expect(create(folder).mint('ada@axe.example')).rejects.toThrow();
      expect(await readFile(fileOf(AXE), 'utf8')).toBe(text);
    },
  );

  test('let refresh tokens live on after a restart, for people who are still there', async () => {
    const entra = create(folder);
    const { form } = await obtainCode(entra);
    const { refresh_token } = await readJson(await postToken(entra, form));
    const grant = { grant_type: 'refresh_token', client_id: NATIVE, refresh_token: String(refresh_token) };
    expect((await postToken(create(folder), grant)).status).toBe(200);
    const without = create(folder, [{ ...axe, people: axe.people.slice(1) }]);
    expect(await (await postToken(without, grant)).json()).toMatchObject({
      error: 'invalid_grant',
      error_codes: [50034],
    });
  });
});
