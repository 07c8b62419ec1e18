import type { Secret } from '../secret.ts';
import { KEY_RECIPE, makeKeyFile, readKeyFile, wrongKeyFile } from './key-file.ts';

/**
 * The master key. `mayCreate` makes a missing one, which is right on a first local start only: a new key opens nothing
 * that an old one sealed.
 * @throws WrongConfiguration that says how to mend it.
 */
export async function readMasterKey(file: string, mayCreate: boolean): Promise<Secret<Buffer>> {
  const key = (await readKeyFile(file)) ?? (mayCreate ? await makeKeyFile(file) : undefined);
  if (key) return key;
  throw wrongKeyFile(
    file,
    `is not there; restore it from your backup; for a new installation only, make one: ${KEY_RECIPE} > ${file}`,
  );
}
