import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseHostPort } from '../../address.ts';
import type { Customer } from '../../customers/customer.ts';
import { orDidYouMean } from '../../did-you-mean.ts';
import { WrongConfiguration } from '../../errors.ts';
import { Secret } from '../../secret.ts';
import { type Command, defineCommand, EXIT, type Io, WrongUsage } from '../command.ts';
import { diagnose } from '../doctor/diagnose.ts';
import { createNetwork, type NetworkOptions } from '../doctor/network.ts';
import type { StepReport } from '../doctor/walk.ts';
import { createInspect } from '../health/inspect.ts';
import { plain, plainJson } from '../remote/plain.ts';
import { MEANS, type Means } from '../remote/reach.ts';
import { openDesk } from '../remote/whom.ts';

/** `ca`: certificates to trust instead of the public ones. */
export function createDoctorCommand({ ca }: Pick<NetworkOptions, 'ca'> = {}, { openHost }: Opening = MEANS): Command {
  return defineCommand({
    usage: `Usage: frame doctor <customer> [options]

Walks the way of a client, from the name in the address to the tools, and says what it saw at each step. A step that is
broken names what mends it; steps that need it are not tried, the others go on. It asks and changes nothing.
  --connect HOST:PORT  looks for the origin there instead of where its name leads
  --token-file FILE    a person's access token: lists the tools with it; default: FRAME_DOCTOR_TOKEN, else without
Exit code 0: nothing is broken · 1: a step is broken · 2: wrong usage or configuration`,
    options: { connect: { type: 'string' }, 'token-file': { type: 'string' } },
    words: { least: 1, most: 1 },
    async run({ words: [name = ''], values, flags, isJson }, io) {
      const desk = await openDesk(io, flags);
      const customer = findCustomer(desk.customers, name);
      const origin = desk.settings.origin ?? customer.origin;
      if (origin === undefined)
        throw new WrongUsage(`\`${name}\` has no \`origin\` in customers.yaml: name it there, or with --origin.`);
      const detour = values.connect === undefined ? undefined : { origin, ...readAddress(values.connect) };
      const diagnosis = {
        customer,
        origin,
        network: createNetwork({ detour, ca }),
        isDetour: detour !== undefined,
        token: await readToken(values['token-file'], io),
        inspect: createInspect(desk, openHost),
        now: Date.now,
      };
      const steps = await diagnose(diagnosis, isJson ? () => {} : step => print(step, io));
      const first = steps.find(({ outcome }) => outcome === 'broken');
      if (isJson) io.out(plainJson({ customer: customer.id, origin, first_broken: first?.step ?? null, steps }));
      else for (const line of first ? lastWords(first) : ['', 'Nothing is broken.']) io.out(line);
      return first ? EXIT.failed : EXIT.ok;
    },
  });
}

export const doctorCommand = createDoctorCommand();

// Private

type Opening = Pick<Means, 'openHost'>;

function findCustomer(customers: readonly Customer[], name: string): Customer {
  const customer = customers.find(({ id }) => id === name);
  if (customer) return customer;
  const ids = customers.map(({ id }) => id);
  throw new WrongUsage(`customers.yaml has no customer \`${name}\`${orDidYouMean(name, ids) || '.'}`);
}

function readAddress(text: string): { host: string; port: number } {
  const address = parseHostPort(text);
  if (address && address.port > 0) return address;
  throw new WrongUsage('--connect takes host:port, such as 127.0.0.1:3712.');
}

async function readToken(file: string | undefined, { env, cwd }: Io): Promise<Secret | undefined> {
  const where = file === undefined ? 'FRAME_DOCTOR_TOKEN' : resolve(cwd, file);
  const text = file === undefined ? env.FRAME_DOCTOR_TOKEN : await readFile(where, 'utf8').catch(() => '');
  if (text === undefined) return undefined;
  const token = text.trim();
  // As it stands in a header: anything else cannot be sent.
  if (/^[\x21-\x7e]+$/.test(token)) return new Secret(token);
  throw new WrongConfiguration([
    { file: where, sentence: 'holds no access token: one word of letters, digits and signs' },
  ]);
}

const WORDS: Record<StepReport['outcome'], string> = {
  ok: 'ok',
  broken: 'BROKEN',
  unclear: 'unclear',
  skipped: 'skipped',
  'not-tried': 'not tried',
};

/** Once more, below all that was not tried because of it. */
function lastWords({ step, seen, mend }: StepReport): string[] {
  return ['', `The first broken step is ${step}. ${plain(seen)}`, ...(mend === undefined ? [] : [`→ ${plain(mend)}`])];
}

function print({ step, outcome, seen, mend }: StepReport, { out }: Io): void {
  out(`${WORDS[outcome].padEnd(9)}  ${step.padEnd(17)}  ${plain(seen)}`);
  if (mend !== undefined) out(`${' '.repeat(30)}→ ${plain(mend)}`);
}
