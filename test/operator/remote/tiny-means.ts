import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FrameError } from '../../../src/errors.ts';
import { createDeployCommand } from '../../../src/operator/commands/deploy.ts';
import { createPromoteCommand } from '../../../src/operator/commands/promote.ts';
import { createRollbackCommand } from '../../../src/operator/commands/rollback.ts';
import { createSlotCommand } from '../../../src/operator/commands/slot.ts';
import { createStatusCommand } from '../../../src/operator/commands/status.ts';
import type { Commit } from '../../../src/operator/release/commit.ts';
import { readRelease } from '../../../src/operator/release/release.ts';
import { openHost } from '../../../src/operator/remote/host.ts';
import type { Means } from '../../../src/operator/remote/reach.ts';

/** Every command of this part, by its name. */
export function commandsWith(releases: string) {
  const means = tinyMeans(releases);
  return {
    deploy: createDeployCommand(means),
    promote: createPromoteCommand(means),
    rollback: createRollbackCommand(means),
    slot: createSlotCommand(means),
    status: createStatusCommand(means),
  };
}

// Private

/**
 * The verbs' means with everything real but the build: releases are tiny and lie ready in a folder, where a ref is the
 * number of one. Git and npm have tests of their own.
 */
function tinyMeans(root: string): Means {
  async function find(ref?: string): Promise<Commit> {
    const ids = (await readdir(root)).sort();
    const id = ref === undefined || ref === 'HEAD' ? ids.at(-1) : ids.find(name => name.endsWith(ref.slice(-7)));
    if (id) return { id, commit: id.slice(-7).padStart(40, '0') };
    throw new FrameError('deploy/refused', `There is no branch, tag or commit \`${ref}\`.`);
  }
  return {
    root,
    openHost,
    chooseCommit: ({ ref }) => find(ref),
    resolveCommit: (_, ref) => find(ref),
    async buildRelease({ ref, signal }) {
      signal?.throwIfAborted();
      const release = await readRelease(join(root, (await find(ref)).id));
      if (release) return release;
      throw new FrameError('deploy/failed', 'npm cannot be reached.');
    },
  };
}
