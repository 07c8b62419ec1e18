import type { Pools } from '../database/pools.ts';
import { toFrameError } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { Client } from './client.ts';
import { createClientDocuments } from './client-documents.ts';
import { createClientsTable } from './clients-table.ts';
import { createGuesses } from './guesses.ts';
import type { Network } from './public-network.ts';
import { createRegisteredClients } from './registered-clients.ts';

export type { Client };

/**
 * The programs that people sign in with. An id that is an https address names a document about the client; any other one
 * was given out by register(). What a client may do is not decided here: the person decides, on the consent page.
 */
export interface Clients {
  /**
   * `unreachable`: nobody can say now; never `invalid_client`, but 503. Throws FrameError `unavailable`. `from`: the
   * address of whoever asks; OAuthError with status 429 after too many from there that nobody knows.
   */
  find(clientId: string, from?: string): Promise<Client | 'unknown' | 'unreachable'>;
  /** It has the form of those that register() gives out, and is surely not there. Throws FrameError `unavailable`. */
  isGone(clientId: string): Promise<boolean>;
  /** The answer of RFC 7591 §3.2.1, for status 201. Throws OAuthError. `from`: the address of whoever asks. */
  register(body: unknown, from: string): Promise<Record<string, unknown>>;
  /** A person came back from Entra for it, or is signed in with it: it is not forgotten. Does not wait. */
  touch(clientId: string): void;
  /** Forgets who never came and who does not come any more. */
  sweep(): Promise<void>;
}

export interface ClientsParts {
  pools: Pick<Pools, 'query'>;
  network: Network;
  /** Of all customers in force. No client may have its answer there. */
  ownOrigins(): readonly string[];
  /** Milliseconds since 1970. */
  now(): number;
  observe: Observe;
  limits: { registrationsPerMinute: number; guessesPerMinute?: number | undefined };
  /** For one document, from its name to its last byte. Claude waits for 10 s. */
  documentTimeoutMs?: number | undefined;
}

export function createClients(parts: ClientsParts): Clients {
  const { now, observe, limits, documentTimeoutMs = 5000 } = parts;
  const table = createClientsTable(parts.pools);
  const documents = createClientDocuments({ ...parts, table, timeoutMs: documentTimeoutMs });
  const registered = createRegisteredClients({ ...parts, ...limits, table });

  const guesses = createGuesses(now, limits.guessesPerMinute);

  function find(clientId: string, from?: string): Promise<Client | 'unknown' | 'unreachable'> {
    const look = () => (isDocument(clientId) ? documents.find(clientId, from) : registered.find(clientId));
    if (from === undefined) return look();
    return guesses.look(clientId, from, look, finding => typeof finding === 'string');
  }

  async function noteUse(clientId: string): Promise<void> {
    if (isDocument(clientId)) await documents.keep(clientId);
    await table.touch(clientId, now());
  }

  return {
    find,
    register: registered.register,
    isGone: registered.isGone,
    touch(clientId) {
      noteUse(clientId).catch(thrown => {
        const { message, detail = message } = toFrameError(thrown);
        observe({ kind: 'warning', sentence: `The use of a client could not be noted: ${detail}` });
      });
    },
    async sweep() {
      await table.sweep(now());
      registered.forget();
    },
  };
}

// Private

function isDocument(clientId: string): boolean {
  return clientId.startsWith('https://');
}
