import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Customers } from '../customers/customer.ts';
import { readCustomers } from '../customers/customers-file.ts';
import { SAMPLE_SECRET, type SampleOrigins } from './sample-people.ts';

/** customers.yaml of `npm start`, in its data folder: there `frame token` finds it as well. Resolves to the file. */
export async function writeSampleCustomers(
  dataFolder: string,
  authority: string,
  { axe, nordwind }: SampleOrigins,
): Promise<string> {
  const template = await readFile(join(import.meta.dirname, 'customers.yaml'), 'utf8');
  const text = template
    .replaceAll('AUTHORITY', authority)
    .replaceAll('SECRET', SAMPLE_SECRET)
    .replaceAll('AXE_ORIGIN', axe)
    .replaceAll('NORDWIND_ORIGIN', nordwind);
  await writeFile(fileIn(dataFolder), text);
  return fileIn(dataFolder);
}

/** Of the last `npm start` on this folder. */
export function readSampleCustomers(dataFolder: string): Promise<Customers> {
  return readCustomers(fileIn(dataFolder), { roles: undefined, env: {} });
}

// Private

const fileIn = (dataFolder: string) => join(dataFolder, 'customers.yaml');
