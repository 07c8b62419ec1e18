import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WrongConfiguration } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { readConfigurationFile } from '../yaml-file.ts';
import type { Customers } from './customer.ts';
import { type CustomersOptions, parseCustomers } from './customers-file.ts';

/**
 * The customers in force. A change of the file is taken up whole or not at all: while it is wrong, the last good ones
 * serve on and an observation tells every mistake.
 */
export interface Registry {
  current(): Customers;
  /** Reads the file now (SIGHUP). Never rejects; the outcome is an observation. */
  reload(): Promise<void>;
  close(): void;
}

export interface RegistryOptions extends CustomersOptions {
  file: string;
  observe: Observe;
  /** Called with the new customers, after they came into force. */
  onChange?: (customers: Customers) => void;
  /** How long the file must rest before it is believed. */
  settleMilliseconds?: number;
  /** Folder watches see nothing on network drives and behind links: the file is looked at this often anyway. */
  pollMilliseconds?: number;
}

/** @throws WrongConfiguration when the file is wrong from the start. */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const { file, observe, onChange, settleMilliseconds = 50, pollMilliseconds = 5_000 } = options;
  let seen = await look(file);
  let customers = read(seen, options);

  let isClosed = false;
  let isNoticed = false;
  let turn = Promise.resolve();
  const watcher = watchFolder(file, notice, observe);
  const poll = setInterval(notice, pollMilliseconds).unref();

  return {
    current: () => customers,
    reload: () => inTurn(takeUp),
    close() {
      isClosed = true;
      watcher?.close();
      clearInterval(poll);
    },
  };

  /** Saving a file makes many events: those that arrive before the first had its turn are one. */
  function notice(): void {
    if (isNoticed) return;
    isNoticed = true;
    void inTurn(async () => {
      isNoticed = false;
      if (!isSame(await look(file), seen)) await takeUp();
    });
  }

  /** One after the other: an older reading must never overtake a newer one. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    turn = turn.then(work).catch(error => observe({ kind: 'crash-averted', where: 'customers registry', error }));
    return turn;
  }

  async function takeUp(): Promise<void> {
    const found = await lookUntilStable(file, settleMilliseconds, () => isClosed);
    if (isClosed) return;
    seen = found;
    try {
      customers = read(found, options);
    } catch (error) {
      if (!(error instanceof WrongConfiguration)) throw error;
      observe({ kind: 'customers-refused', mistakes: error.mistakes });
      return;
    }
    observe({ kind: 'customers-reloaded', customers: customers.all.length });
    onChange?.(customers);
  }
}

// Private

/** The text of the file, or why there is none. */
type Look = string | WrongConfiguration;

async function look(file: string): Promise<Look> {
  try {
    return await readConfigurationFile(file);
  } catch (error) {
    if (error instanceof WrongConfiguration) return error;
    throw error;
  }
}

/** A file caught in the middle of being written could be valid and yet only half of what is meant. */
async function lookUntilStable(file: string, settleMilliseconds: number, isClosed: () => boolean): Promise<Look> {
  let last = await look(file);
  while (!isClosed()) {
    await sleep(settleMilliseconds, undefined, { ref: false });
    const next = await look(file);
    if (isSame(next, last)) break;
    last = next;
  }
  return last;
}

function isSame(a: Look, b: Look): boolean {
  return String(a) === String(b);
}

function read(found: Look, { file, roles, env }: RegistryOptions): Customers {
  if (found instanceof WrongConfiguration) throw found;
  const parsed = parseCustomers(file, found, { roles, env });
  if ('mistakes' in parsed) throw new WrongConfiguration(parsed.mistakes);
  return parsed.customers;
}

/** The folder, for editors and atomic renames replace the file itself. Without a watch the poll alone has to do. */
function watchFolder(file: string, notice: () => void, observe: Observe): FSWatcher | undefined {
  const giveUp = (error: unknown) =>
    observe({ kind: 'warning', sentence: `${file} cannot be watched, it is only looked at now and then: ${error}` });
  try {
    const watcher = watch(dirname(file), { persistent: false }, (_, name) => {
      if (name === null || name === basename(file)) notice();
    });
    return watcher.on('error', giveUp);
  } catch (error) {
    giveUp(error);
    return undefined;
  }
}
