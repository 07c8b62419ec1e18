import { FrameError, unavailable, WrongConfiguration } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { unwrap } from './data-key.ts';
import { bookSeals, onControl, readDataKeys, type StoredKey } from './data-key-table.ts';
import { type KeyStore, replaceCellKey, requireEntityKey } from './make-data-keys.ts';
import { createPlaceKeys, type KeyPlace, type PlaceKeys } from './place-keys.ts';

/**
 * The data keys of a running process, read when they are needed. No key is used for long without another look at the
 * table: a process that has heard nothing seals with an old key, or opens what was shredded, for that long at most.
 */
export interface DataKeys {
  /**
   * To be used at once: `seals` says how many cells will be sealed, and they are counted. Rejects `unavailable` when the
   * keys cannot be read.
   */
  of(place: KeyPlace, seals?: number): Promise<PlaceKeys>;
  /** Looks at the table again, for a cell that names a key which is not known. */
  renew(place: KeyPlace): Promise<PlaceKeys>;
  /** Tells the operator of cells that do not open: somebody has altered them, or a key is gone. */
  reportBroken(place: KeyPlace, column: string, reasons: readonly string[]): void;
  forget(place: KeyPlace): void;
  forgetAll(): void;
}

export interface DataKeysParts extends KeyStore {
  observe: Observe;
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  limits?: DataKeyLimits;
}

export interface DataKeyLimits {
  /** How long keys are used without another look. */
  liveMs: number;
  /** Seals are booked in such steps: a write for each would be one too many. */
  step: number;
  /** A key that sealed so many cells is replaced. */
  replaceAt: number;
  /** And seals no more after so many, whatever stands in the way of that. */
  stopAt: number;
}

/** A nonce of 96 random bits is safe for 2^32 cells of one key (NIST SP 800-38D), so there is room to spare. */
export const DATA_KEY_LIMITS: DataKeyLimits = { liveMs: 10_000, step: 4096, replaceAt: 2 ** 27, stopAt: 2 ** 28 };

export function createDataKeys({ pools, folder, observe, now, limits = DATA_KEY_LIMITS }: DataKeysParts): DataKeys {
  const run = onControl(pools);
  const known = new Map<string, Known>();
  const reading = new Map<string, Promise<Known>>();

  async function find(place: KeyPlace): Promise<Known> {
    const found = known.get(nameOf(place));
    return found && now() - found.readAt < limits.liveMs ? found : await read(place);
  }

  /** Callers that come at once share one look. */
  function read(place: KeyPlace): Promise<Known> {
    const name = nameOf(place);
    const running = reading.get(name);
    if (running) return running;
    const started = loadAgain(place, known.get(name)).then(
      loaded => {
        // Whoever forgot meanwhile must not be reminded.
        if (reading.get(name) === started) known.set(name, loaded);
        return loaded;
      },
      thrown => {
        throw unreadable(thrown);
      },
    );
    reading.set(name, started);
    const end = () => void (reading.get(name) === started && reading.delete(name));
    started.then(end, end);
    return started;
  }

  /** The key of the entity may have been replaced between the look at the table and the look at its file. */
  function loadAgain(place: KeyPlace, before: Known | undefined): Promise<Known> {
    return load(place, before).catch(thrown => {
      if (!(thrown instanceof WrongConfiguration)) throw thrown;
      return load(place, before);
    });
  }

  async function load(place: KeyPlace, before: Known | undefined): Promise<Known> {
    const readAt = now();
    const rows = await readDataKeys(run, place);
    const bare = new Map<number, Buffer>();
    for (const row of rows) bare.set(row.kid, before?.bare.get(row.kid) ?? (await open(row)));
    const keyOf = ({ kid }: StoredKey) => bare.get(kid) ?? Buffer.alloc(0);
    const current = rows.find(({ purpose, state }) => purpose === 'cells' && state === 'current');
    const index = rows.find(({ purpose, state }) => purpose === 'index' && state === 'current');
    const cells = rows.filter(({ purpose }) => purpose === 'cells');
    return {
      readAt,
      bare,
      budget:
        before && before.budget.kid === current?.kid
          ? before.budget
          : { kid: current?.kid, booked: 0, booking: undefined },
      keys: createPlaceKeys(
        place,
        {
          cells: cells.map(row => ({ kid: row.kid, key: keyOf(row), isCurrent: row === current })),
          index: index && keyOf(index),
        },
        () => withoutKeys(place),
      ),
    };
  }

  async function open(row: StoredKey): Promise<Buffer> {
    const key = unwrap(row, await requireEntityKey(folder, row));
    if (key) return key;
    throw new Error(`The data key ${row.kid} was altered.`);
  }

  async function book(place: KeyPlace, first: Known, seals: number): Promise<Known> {
    let found = first;
    while (found.budget.booked < seals) {
      const total = await bookMore(place, found.budget, seals);
      // Without a total the key was retired or shredded a moment ago.
      if (total === undefined) found = await read(place);
      else if (total >= limits.replaceAt) found = await replace(place, found, total);
    }
    found.budget.booked -= seals;
    return found;
  }

  /** One booking at a time: what many need at once is no reason to book for each. */
  function bookMore(place: KeyPlace, budget: Budget, seals: number): Promise<number | undefined> {
    const { kid } = budget;
    if (kid === undefined) throw withoutKeys(place);
    const work = async () => {
      try {
        const step = Math.max(limits.step, seals);
        const total = await bookSeals(run, kid, step);
        if (total !== undefined) budget.booked += step;
        return total;
      } catch (thrown) {
        throw unreadable(thrown);
      } finally {
        budget.booking = undefined;
      }
    };
    budget.booking ??= work();
    return budget.booking;
  }

  async function replace(place: KeyPlace, found: Known, total: number): Promise<Known> {
    try {
      await replaceCellKey({ pools, folder }, place, found.budget.kid ?? 0);
    } catch (error) {
      observe({ kind: 'crash-averted', where: 'a new data key', error });
      if (total < limits.stopAt) return found;
      found.budget.booked = 0;
      throw unreadable(error);
    }
    return await read(place);
  }

  return {
    async of(place, seals = 0) {
      const found = await find(place);
      return (await book(place, found, seals)).keys;
    },
    async renew(place) {
      const found = known.get(nameOf(place));
      // A table full of cells that nobody can open must not become a stream of questions.
      return (found && now() - found.readAt < RENEW_MS ? found : await read(place)).keys;
    },
    reportBroken(place, column, reasons) {
      const cells = reasons.length;
      observe({ kind: 'cells-broken', place: nameOf(place), column, reasons: [...new Set(reasons)], cells });
    },
    forget(place) {
      known.delete(nameOf(place));
      reading.delete(nameOf(place));
    },
    forgetAll() {
      known.clear();
      reading.clear();
    },
  };
}

// Private

const RENEW_MS = 1000;

interface Known {
  readAt: number;
  keys: PlaceKeys;
  /** Unwrapped, by number. */
  bare: ReadonlyMap<number, Buffer>;
  budget: Budget;
}

/** Seals that are counted already and not yet made, for as long as one key is in force. */
interface Budget {
  kid: number | undefined;
  booked: number;
  booking: Promise<number | undefined> | undefined;
}

const nameOf = ({ customer, entity, environment }: KeyPlace) => `${customer}/${entity}/${environment}`;

function unreadable(thrown: unknown): FrameError {
  const detail = thrown instanceof FrameError ? (thrown.detail ?? thrown.message) : String(thrown);
  return unavailable('The keys of personal data cannot be read now.', { detail, cause: thrown });
}

function withoutKeys(place: KeyPlace): FrameError {
  return new FrameError('row/sealed-broken', 'There are no keys for personal data here.', {
    hint: 'Either nobody has made them yet (`frame migrate` does), or they were destroyed, which is for good.',
    detail: nameOf(place),
  });
}
