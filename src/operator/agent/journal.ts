import { rm } from 'node:fs/promises';
import { readIfThere, writeWhole } from './durable.ts';
import type { Layout, Slot } from './layout.ts';
import { readWritten } from './written.ts';

/** What is being done right now, written before it is done: who comes after a process that was killed reads it here. */
export interface Journal extends Facts {
  /** The token of its lock. */
  id: string;
  verb: string;
  by: string;
  at: string;
  step: string;
  stepAt: string;
}

export interface Facts {
  /** The releases that served before, and shall serve. */
  from?: string;
  to?: string;
  /** The slot that shall take over, and the one that serves; without it, none does. */
  target?: Slot;
  before?: Slot;
  /** The release whose migrations were begun last. */
  migrated?: string;
}

/** What it says beside who wrote it and when. */
export function factsOf({ from, to, target, before, migrated }: Facts): Facts {
  return { from, to, target, before, migrated };
}

export async function writeJournal(layout: Layout, journal: Journal): Promise<void> {
  await writeWhole(layout.journal, JSON.stringify(journal));
}

export async function readJournal(layout: Layout): Promise<Journal | undefined> {
  return readWritten<Journal>(await readIfThere(layout.journal), SHAPE);
}

export async function removeJournal(layout: Layout): Promise<void> {
  await rm(layout.journal, { force: true });
}

// Private

const SHAPE = { id: 'string', verb: 'string', by: 'string', at: 'string', step: 'string', stepAt: 'string' } as const;
