import { basename, dirname, join } from 'node:path';
import { Refused } from './deed.ts';
import type { Layout } from './layout.ts';
import { runProgram } from './programs.ts';
import { readSecrets } from './secrets.ts';

/** The release's own `frame check` and `frame migrate`, run as its slot would run: same variables, same files. */

/** @throws Refused (2) with every mistake, when the release does not accept this customers.yaml or this machine's files. */
export async function check(layout: Layout, release: string, customersFile: string, hint?: string): Promise<void> {
  const { exit, output } = await run(layout, release, ['check'], CHECK_SECONDS, customersFile);
  if (exit === 0) return;
  const mistakes = nameShortly(output, customersFile);
  if (exit !== 2) throw failed(`\`check\` of the release ${release} ${howItEnded(exit)}.`, mistakes);
  throw refused(`The release ${release} does not accept the configuration of this machine:\n${mistakes}`, hint);
}

/**
 * Of a release that shall serve again: shared/customers.yaml may be newer than its roles, and a process that began before
 * it would not come back after a crash.
 * @throws Refused (2)
 */
export async function checkShared(layout: Layout, release: string): Promise<void> {
  await check(layout, release, layout.customers, 'Deploy a customers.yaml that it accepts, or a newer release.');
}

/** @throws Refused: (2) when the database has what this release does not know, (75) when another migration is at work. */
export async function migrate(layout: Layout, release: string, seconds: number): Promise<string> {
  const wait = Math.max(1, Math.floor(seconds / 2));
  const { exit, out, output } = await run(layout, release, ['migrate', '--wait', `${wait}`], seconds, layout.customers);
  if (exit === 0) return summaryOf(out);
  if (exit === 2) throw refused(`The release ${release} does not fit the database:\n${output}`);
  if (exit !== 75) throw failed(`\`migrate\` of the release ${release} ${howItEnded(exit)}.`, output);
  throw new Refused({ code: 'deploy/locked', message: output, hint: 'Try again when it is done.', exit: 75 });
}

// Private

const CHECK_SECONDS = 60;
const OUTPUT_LINES = 40;

interface Ended {
  /** Undefined: it had to be ended because it took too long, or it was killed. */
  exit: number | undefined;
  /** Both streams; of `out` one only. */
  output: string;
  out: string;
}

async function run(
  layout: Layout,
  release: string,
  words: readonly string[],
  seconds: number,
  customersFile: string,
): Promise<Ended> {
  const secrets = await readSecrets(layout);
  const folder = layout.release(release);
  const { exit, out, err } = await runProgram(
    join(folder, 'node_modules/.bin/node'),
    [`--env-file=${layout.env}`, join(folder, 'src/main.ts'), ...words],
    {
      cwd: layout.home,
      seconds,
      env: {
        FRAME_DATA: join(layout.home, 'state/data'),
        FRAME_CONFIG: join(folder, 'config'),
        FRAME_CUSTOMERS: customersFile,
        FRAME_MASTER_KEY_FILE: layout.masterKey,
      },
    },
  );
  const lines = `${err}\n${out}`.trim().split('\n').slice(-OUTPUT_LINES);
  return { exit, out: secrets.hide(out), output: secrets.hide(lines.join('\n')) };
}

/** Details are indented. */
function summaryOf(out: string): string {
  return out
    .split('\n')
    .filter(line => /^\S/.test(line))
    .join('; ');
}

/** The file that is checked lies in a folder of the moment; people know it by its own name. */
function nameShortly(output: string, file: string): string {
  const folder = `${basename(dirname(file))}/`;
  return output.replaceAll(new RegExp(`^.*?${folder}`, 'gm'), '');
}

function howItEnded(exit: number | undefined): string {
  return exit === undefined ? 'did not come to its end' : `failed (exit code ${exit})`;
}

function refused(message: string, hint?: string): Refused {
  return new Refused({ code: 'deploy/refused', message, hint, exit: 2 });
}

function failed(message: string, output: string): Refused {
  return new Refused({ code: 'deploy/failed', message: `${message}\n${output}`.trim(), exit: 1 });
}
