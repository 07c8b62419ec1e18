import { copyFile, mkdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makePassingFolder } from '../agent/passing-folder.ts';
import { addModules } from '../release/modules.ts';
import { nameOf, type Platform } from '../release/platform.ts';

/** The Node that runs the agent on a machine: this laptop's own where it fits, else the one that releases bring there. */
export interface NodeProgram extends AsyncDisposable {
  file: string;
}

export interface NodeOptions {
  platform: Platform;
  /** FRAME_DATA: packages are kept there. */
  dataFolder: string;
  timeoutSeconds: number;
}

/** @throws FrameError `deploy/failed` when npm cannot get it */
export async function nodeFor({ platform, dataFolder, timeoutSeconds }: NodeOptions): Promise<NodeProgram> {
  if (nameOf(platform) === `${process.platform}-${process.arch}`) {
    return { file: process.execPath, [Symbol.asyncDispose]: async () => {} };
  }
  await mkdir(dataFolder, { recursive: true });
  const folder = await makePassingFolder(dataFolder, 'node-');
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    for (const name of ['package.json', 'package-lock.json']) await copyFile(join(ROOT, name), join(folder, name));
    await addModules(folder, { cacheFolder: join(dataFolder, 'modules'), platform, timeoutSeconds });
    return { file: await realpath(join(folder, 'node_modules/.bin/node')), [Symbol.asyncDispose]: remove };
  } catch (thrown) {
    await remove();
    throw thrown;
  }
}

// Private

const ROOT = join(import.meta.dirname, '../../..');
