import { createPublicKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { EntraTenant } from '../customers/customer.ts';
import { readAnswer } from './answer.ts';
import { signingKeysUrl, versionOfIssuer } from './issuers.ts';

/** The public signing keys of one tenant by key id: replaced as a whole, never changed. */
export type KeySet = ReadonlyMap<string, KeyObject>;

export type Fetch = typeof globalThis.fetch;

/** Fetches and checks the keys that a tenant publishes. Rejects with the reason when nothing usable came back. */
export async function fetchKeySet(tenant: EntraTenant, fetch: Fetch, timeoutMs: number): Promise<KeySet> {
  const response = await fetch(signingKeysUrl(tenant), {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  });
  const refusal = refuse(response);
  if (refusal) {
    await response.body?.cancel();
    throw new Error(refusal);
  }
  return readKeySet(await readAnswer(response, MAX_BYTES), tenant);
}

// Private

const MAX_BYTES = 64 * 1024;
const MIN_BITS = 2048;

/** Only what can verify RS256: a symmetric or encryption key, a weak exponent or a missing key id never gets in. */
const SigningKey = z.object({
  kty: z.literal('RSA'),
  kid: z.string().min(1),
  use: z.literal('sig').optional(),
  alg: z.literal('RS256').optional(),
  n: z.string(),
  e: z.literal('AQAB'),
  issuer: z.string().optional(),
});
type SigningKey = z.infer<typeof SigningKey>;

const Document = z.object({ keys: z.array(z.unknown()) });

function refuse({ status, headers }: Response): string | undefined {
  if (status !== 200) return `the keys were answered with status ${status}`;
  const type = headers.get('content-type') ?? 'none';
  if (!/^application\/(jwk-set\+)?json(;|$)/i.test(type)) return `the keys came as media type ${type}`;
  return undefined;
}

function readKeySet(text: string, tenant: EntraTenant): KeySet {
  const usable = Document.parse(JSON.parse(text)).keys.flatMap(candidate => {
    const { data: key } = SigningKey.safeParse(candidate);
    if (!key || !isOfTenant(key, tenant)) return [];
    const publicKey = importKey(key);
    return publicKey ? [{ keyId: key.kid, publicKey }] : [];
  });
  const ambiguous = new Set(usable.map(({ keyId }) => keyId).filter((id, at, ids) => ids.indexOf(id) !== at));
  const keys = new Map(
    usable.filter(({ keyId }) => !ambiguous.has(keyId)).map(({ keyId, publicKey }) => [keyId, publicKey]),
  );
  if (keys.size === 0) throw new Error('the keys hold none that could be used');
  return keys;
}

/** Entra says for whom a key signs: without this check a key of the consumer tenant would sign for a company. */
function isOfTenant({ issuer }: SigningKey, tenant: EntraTenant): boolean {
  return issuer === undefined || versionOfIssuer(tenant, issuer.replace('{tenantid}', tenant.tenantId)) !== undefined;
}

function importKey({ kty, n, e }: SigningKey): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: { kty, n, e }, format: 'jwk' });
    return (key.asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_BITS ? key : undefined;
  } catch {
    return undefined;
  }
}
