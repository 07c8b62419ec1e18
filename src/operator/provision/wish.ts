import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CONTROL_DATABASE, databaseOf } from '../../database/place.ts';
import { WrongConfiguration } from '../../errors.ts';
import type { Provisioning } from '../agent/protocol.ts';
import { type CustomersPart, customersPart } from '../customers-part.ts';
import type { Desk, Hosted } from '../remote/whom.ts';
import { servicesInclude } from './services-include.ts';

/** What a machine shall be, put together on this side, and what of it may be shown. */
export interface Wish {
  customer: Hosted & { origin: string };
  request: Provisioning;
  part: CustomersPart;
}

export type Choices = Pick<Provisioning, 'ports' | 'supervisor' | 'restartProxy' | 'force'>;

/** @throws WrongConfiguration */
export async function wishFor(
  customer: Hosted,
  { settings }: Desk,
  choices: Choices,
  env: NodeJS.ProcessEnv,
): Promise<Wish> {
  const { id, origin } = customer;
  if (origin === undefined) {
    const sentence = `\`${id}\` has no \`origin\`; the gateway answers at that address only`;
    throw new WrongConfiguration([{ file: settings.customersFile, sentence }]);
  }
  const part = await customersPart(settings.customersFile, id);
  refuseOurOwn(settings.customersFile, part.variables);
  const known = part.variables.flatMap(name => (env[name] ? [[name, env[name]]] : []));
  const request = {
    ...choices,
    customer: id,
    customers: part.text,
    proxy: { caddyfile: await readFile(CADDYFILE, 'utf8'), services: servicesInclude(customer) },
    env: Object.fromEntries(known),
    database: {
      superuserUrl: settings.databaseUrl?.reveal(),
      port: DATABASE_PORT,
      role: 'frame',
      databases: [CONTROL_DATABASE, databaseOf(id)],
    },
  };
  return { customer: { ...customer, origin }, request, part };
}

// Private

const CADDYFILE = join(import.meta.dirname, '../../../Caddyfile');
/** Where a machine's own Postgres listens. */
const DATABASE_PORT = 3700;

/** The laptop's FRAME_DATABASE_URL, say, would follow the customer's secrets to the machine. */
function refuseOurOwn(file: string, variables: readonly string[]): void {
  const ours = variables.filter(name => name.startsWith('FRAME_'));
  if (ours.length === 0) return;
  throw new WrongConfiguration(
    ours.map(name => ({ file, sentence: `\`\${${name}}\`: names with FRAME_ are Frame's own; choose another` })),
  );
}
