import { chmod, mkdir, stat } from 'node:fs/promises';
import { relative } from 'node:path';
import { isMissing, readIfThere, writeWhole } from './durable.ts';

/**
 * What shall lie on the disk, compared with what does. Each call changes what differs and nothing else, and notes it in
 * `done`; in a dry run it only notes it.
 */
export interface Changes {
  readonly dryRun: boolean;
  readonly done: readonly string[];
  /** Something that was changed by other means, or would be: `role frame`, `created`. */
  note(what: string, deed: string): void;
  folder(path: string, mode: number): Promise<void>;
  file(path: string, text: string, mode: number): Promise<void>;
  /** Made when it is missing, whatever is in it otherwise. */
  newFile(path: string, makeText: () => string, mode: number): Promise<void>;
}

export function trackChanges(home: string, dryRun: boolean): Changes {
  const done: string[] = [];

  function note(what: string, deed: string): void {
    done.push(`${what}  ${deed}`);
  }

  async function settle(path: string, mode: number, deed: string | undefined, change: () => Promise<unknown>) {
    const isOtherMode = deed === undefined && (await modeOf(path)) !== mode;
    if (!deed && !isOtherMode) return;
    note(relative(home, path), deed ?? `mode ${mode.toString(8)}`);
    if (dryRun) return;
    if (deed) await change();
    // The umask has had its say in what was just made.
    await chmod(path, mode);
  }

  return {
    dryRun,
    done,
    note,
    async folder(path, mode) {
      const isNew = (await modeOf(path)) === undefined;
      await settle(path, mode, isNew ? 'created' : undefined, () => mkdir(path, { recursive: true, mode }));
    },
    async file(path, text, mode) {
      const found = await readIfThere(path);
      const deed = found === undefined ? 'created' : 'changed';
      await settle(path, mode, found === text ? undefined : deed, () => writeWhole(path, text, mode));
    },
    async newFile(path, makeText, mode) {
      const isNew = (await modeOf(path)) === undefined;
      await settle(path, mode, isNew ? 'created' : undefined, () => writeWhole(path, makeText(), mode));
    },
  };
}

// Private

/** Undefined when nothing is there. */
async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o777;
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}
