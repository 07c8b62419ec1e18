import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Command } from '../../src/operator/command.ts';
import { TWO_CUSTOMERS } from '../customers/fixture.ts';

export const TOOLS = [
  'get_context',
  'describe_tables',
  'select_rows',
  'run_sql',
  'insert_rows',
  'update_rows',
  'delete_rows',
  'plan_change',
  'apply_change',
  'search_audit',
].map(name => ({ name, title: `The tool ${name}` }));

/** A folder with the configuration that ships and two customers; removed when disposed of. */
export async function makeFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'frame-operator-'));
  await cp(join(import.meta.dirname, '../../config'), join(path, 'config'), { recursive: true });
  await writeFile(join(path, 'customers.yaml'), TWO_CUSTOMERS);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export interface Transcript {
  exit: number;
  out: string;
  err: string;
}

/** Runs a command as a shell would, `line` split at blanks. */
export async function run(command: Command, cwd: string, line = '', env: NodeJS.ProcessEnv = {}): Promise<Transcript> {
  const out: string[] = [];
  const err: string[] = [];
  const exit = await command.run(line.split(' ').filter(Boolean), {
    env,
    cwd,
    out: text => out.push(text),
    err: text => err.push(text),
    stdin: Readable.from([]),
    status: () => {},
    isTerminal: false,
  });
  return { exit, out: out.join('\n'), err: err.join('\n') };
}
