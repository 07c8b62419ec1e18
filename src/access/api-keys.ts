import { timingSafeEqual } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { networkOf, plainAddress } from '../address.ts';
import type { Customer, Entity } from '../customers/customer.ts';
import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { toFrameError } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { API_KEY_CHANGES, findApiKey, revokeApiKey, type StoredApiKey, touchApiKey } from './api-key-table.ts';
import { digestOfApiKey, findApiKeys, readApiKeyText } from './api-key-text.ts';
import { decodeAddress } from './credentials.ts';
import { createLocalLimit } from './local-limit.ts';
import { setNewest } from './newest.ts';
import type { Rates } from './rates.ts';
import type { Refusal } from './refusal.ts';
import { runOn } from './sessions.ts';
import { createTokenMemory } from './token-memory.ts';

/** Keys of scripts and agents, as the gateway meets them: whose a key is and for what, not which tools it gets. */
export interface ApiKeys {
  /** As a key of one of the customers served here. `from`: the visitor's address. */
  find(text: string, site: KeySite): Promise<KeyFinding | Refusal>;
  /** Keys that stood where everybody along the way could read them are nobody's secret any more. */
  revokeExposed(url: URL, from: string): Promise<void>;
  close(): Promise<void>;
}

export interface KeySite {
  customers: readonly Customer[];
  from: string;
}

export interface KeyFinding {
  key: StoredApiKey;
  customer: Customer;
  /** Its one entity, with its one environment. */
  entity: Entity;
}

export interface ApiKeysParts {
  pools: Pick<Pools, 'query' | 'listen'>;
  rates: Rates;
  /** Milliseconds since 1970. */
  now(): number;
  observe: Observe;
  /** Records that a key was revoked because it was seen in an address. */
  onExposed(key: StoredApiKey): Promise<void>;
}

/** Rejects when revocations cannot be heard of from the start. */
export async function createApiKeys({ pools, rates, now, observe, onExposed }: ApiKeysParts): Promise<ApiKeys> {
  const run = runOn(pools);
  const memory = createTokenMemory<Known>(REMEMBERED, now);
  const proven = createTokenMemory<true>(REMEMBERED, now);
  const shutOut = new Map<string, number>();
  const misspelt = createLocalLimit(MISSPELT_PER_MINUTE, now);
  let changes = 0;
  const forget = (isMeant: (known: Known) => boolean) => {
    changes += 1;
    memory.forget(isMeant);
  };
  const close = await pools.listen(
    CONTROL_LOGIN,
    API_KEY_CHANGES,
    id => forget(known => known.id === id),
    () => forget(() => true),
  );

  async function lookUp(text: string, id: string): Promise<Known | Refusal> {
    const asked = { atMs: now(), changes };
    try {
      const known = { id, found: await findApiKey(run, id) };
      // What changed while we asked may be missing in the answer.
      if (asked.changes === changes) memory.remember(text, known, asked.atMs + REMEMBER_MS);
      return known;
    } catch (thrown) {
      return { refused: 'tokens-unreachable', detail: toFrameError(thrown).detail };
    }
  }

  async function refuseGuess(from: string): Promise<Refusal> {
    const network = networkOf(from);
    const { isOver, resetSeconds } = await rates.take(BAD_KEYS, network);
    if (!isOver) return { refused: 'api-key-unknown', detail: 'unknown' };
    setNewest(shutOut, network, now() + resetSeconds * 1000, REMEMBERED);
    return { refused: 'too-many-bad-keys', detail: 'unknown' };
  }

  /** Nobody finds a key that way: it shuts out no others. */
  function refuseMisspelt(from: string): Refusal {
    const isOver = misspelt.take(networkOf(from)) !== undefined;
    return { refused: isOver ? 'too-many-bad-keys' : 'api-key-unknown', detail: 'no key by its form' };
  }

  /** Who tries keys: the database hears no more of it. Others behind the same address have had their keys for long. */
  function isShutOut(from: string, text: string): boolean {
    return (shutOut.get(networkOf(from)) ?? 0) > now() && !proven.recall(text);
  }

  return {
    async find(text, { customers, from: address }) {
      const from = plainAddress(address);
      const read = readApiKeyText(text);
      if (!read) return refuseMisspelt(from);
      const remembered = memory.recall(text);
      if (!remembered && isShutOut(from, text)) return { refused: 'too-many-bad-keys' };
      const known = remembered ?? (await lookUp(text, read.id));
      if ('refused' in known) return known;
      const { found } = known;
      // Compared in any case, so that a known id takes no longer than an unknown one.
      const isSame = timingSafeEqual(Buffer.from(digestOfApiKey(read)), Buffer.from(found?.digest ?? NO_DIGEST));
      if (!found || !isSame) return await refuseGuess(from);
      const finding = whatFor(found.key, customers);
      const fault = whyNot(found.key, from, now()) ?? (finding ? undefined : 'of another customer or a former entity');
      // Whoever has the secret did not guess: a script with a key that ended shuts out nobody beside it.
      if (fault || !finding) return { refused: 'api-key-unknown', detail: `${read.id}: ${fault}` };
      if (remembered) return finding;
      proven.remember(text, true, now() + PROVEN_MS);
      touchApiKey(run, found.key, from, now()).catch(error =>
        observe({ kind: 'crash-averted', where: 'last use of a key', error }),
      );
      return finding;
    },
    async revokeExposed(url, address) {
      const from = plainAddress(address);
      for (const { id, text } of findApiKeys(decodeAddress(url)).slice(0, MOST_EXPOSED)) {
        if (isShutOut(from, text)) continue;
        const found = await findApiKey(run, id);
        // Somebody who only knows the id must not be able to end a key.
        if (!found || found.digest !== digestOfApiKey({ id, role: '', text })) {
          await refuseGuess(from);
          continue;
        }
        const revoked = await revokeApiKey(run, { id }, 'seen-in-address', now());
        if (revoked) await onExposed(revoked);
      }
    },
    close,
  };
}

// Private

/** A revocation counts everywhere within this time, also when word of it is lost. */
const REMEMBER_MS = 1000;
const REMEMBERED = 1000;
/** So long ago a key was good, and is looked up also while its address is shut out. */
const PROVEN_MS = 3_600_000;
/** Of one address; people who mistype do not get there. */
const BAD_KEYS = { name: 'bad-keys', perMinute: 30 };
/** What cannot be a key costs the database nothing, not even its count. */
const MISSPELT_PER_MINUTE = 30;
/** In one address; more is somebody who wants to keep the database busy. */
const MOST_EXPOSED = 2;
const NO_DIGEST = `\\x${'0'.repeat(64)}`;

interface Known {
  id: string;
  found: { key: StoredApiKey; digest: string } | undefined;
}

function whyNot({ revokedAt, expiresAt, networks }: StoredApiKey, from: string, nowMs: number): string | undefined {
  if (revokedAt !== undefined) return 'revoked';
  if (expiresAt <= nowMs) return 'expired';
  return networks && !isWithin(from, networks) ? 'used from elsewhere' : undefined;
}

function isWithin(address: string, networks: readonly string[]): boolean {
  const family = isIP(address);
  const list = new BlockList();
  for (const network of networks) {
    const [base = '', bits = ''] = network.split('/');
    list.addSubnet(base, Number(bits), isIP(base) === 6 ? 'ipv6' : 'ipv4');
  }
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

function whatFor(key: StoredApiKey, customers: readonly Customer[]): KeyFinding | undefined {
  const customer = customers.find(({ id }) => id === key.customer);
  const entity = customer?.entities.find(({ id }) => id === key.entity);
  if (!customer || !entity?.environments.includes(key.environment)) return undefined;
  return { key, customer, entity: { ...entity, environments: [key.environment] } };
}
