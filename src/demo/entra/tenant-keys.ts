import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';
import { z } from 'zod';

/** The secrets of one tenant: signing keys, newest first, and one key that seals refresh tokens. */
export interface TenantKeys {
  sign(claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
  /** The public halves. */
  published(): Promise<JWK[]>;
  /** A new key signs from now on; the one before it stays published, older ones go. */
  rotate(): Promise<void>;
  sealingKey(): Promise<Uint8Array>;
}

/** Without a folder the keys live as long as the process. */
export function createTenantKeys(tenantId: string, folder: string | undefined): TenantKeys {
  const file = folder && join(folder, `${tenantId}.json`);
  let secrets: Promise<Secrets> | undefined;
  const current = () => {
    secrets ??= file ? openSecrets(file) : newSecrets();
    return secrets;
  };
  return {
    async sign(claims, header = {}) {
      const { signing } = await current();
      const key = await importJWK(signing[0], 'RS256');
      return new SignJWT(claims)
        .setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid: signing[0].kid, x5t: signing[0].kid, ...header })
        .sign(key);
    },
    published: async () =>
      (await current()).signing.map(({ kty, kid, n, e }) => ({ kty, use: 'sig', kid, x5t: kid, n, e })),
    async rotate() {
      const { signing, sealing } = await current();
      const next: Secrets = { signing: [await newSigningKey(), signing[0]], sealing };
      if (file) await rename(await writeDraft(file, next), file);
      secrets = Promise.resolve(next);
    },
    sealingKey: async () => Buffer.from((await current()).sealing, 'base64url'),
  };
}

// Private

const PrivateKey = z.looseObject({
  kty: z.literal('RSA'),
  kid: z.string(),
  n: z.string(),
  e: z.string(),
  d: z.string(),
});
const Secrets = z.object({ signing: z.tuple([PrivateKey], PrivateKey), sealing: z.base64url() });
type Secrets = z.infer<typeof Secrets>;

async function openSecrets(file: string): Promise<Secrets> {
  const text = await readIfThere(file);
  if (text !== undefined) return Secrets.parse(JSON.parse(text));
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 });
  const draft = await writeDraft(file, await newSecrets());
  // Two processes may start at once: the first link wins, and both read what it put there.
  await link(draft, file).catch(ignore('EEXIST'));
  await rm(draft);
  return openSecrets(file);
}

async function newSecrets(): Promise<Secrets> {
  return { signing: [await newSigningKey()], sealing: randomBytes(32).toString('base64url') };
}

async function newSigningKey(): Promise<z.infer<typeof PrivateKey>> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  return PrivateKey.parse({ ...jwk, kid: await calculateJwkThumbprint(jwk) });
}

async function writeDraft(file: string, secrets: Secrets): Promise<string> {
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, JSON.stringify(secrets), { mode: 0o600, flag: 'wx' });
  return draft;
}

async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(ignore('ENOENT'));
}

function ignore(code: string): (failure: unknown) => undefined {
  return failure => {
    if (failure instanceof Error && 'code' in failure && failure.code === code) return undefined;
    throw failure;
  };
}
