import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Runs `work` while no other process, and nobody else in this one, holds the lock of this file. Node has no flock; this is
 * SQLite's lock on a file that stays empty. The kernel holds it, so a process that is killed leaves none behind.
 * Rejects when the lock was not free within `patienceMilliseconds`.
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>, patienceMilliseconds = 10_000): Promise<T> {
  const deadline = performance.now() + patienceMilliseconds;
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    while (!isTaken(database)) {
      if (performance.now() > deadline) throw new Error(`another process holds ${file}`);
      await pause(POLL_MS);
    }
    return await work();
  } finally {
    database.close();
  }
}

// Private

const POLL_MS = 5;
const SQLITE_BUSY = 5;

function isTaken(database: DatabaseSync): boolean {
  try {
    // No journal: the lock must work on a full disk too, so that what fails there is what needs the space.
    database.exec('pragma journal_mode = memory; begin exclusive');
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && 'errcode' in thrown && thrown.errcode === SQLITE_BUSY) return false;
    throw thrown;
  }
}
