import type { Caller } from '../access/caller.ts';
import { readSettings, type Settings } from '../config/settings.ts';
import type { Customer } from '../customers/customer.ts';
import { WrongConfiguration } from '../errors.ts';
import { type Command, defineCommand, EXIT } from '../operator/command.ts';
import { surviveWhatCanBeSurvived, untilToldToStop } from '../operator/commands/serve.ts';
import { CATALOGUE, TOOL_NAMES } from '../tools/catalogue.ts';
import { isAuthorityAlive, noteAuthority } from './authority-file.ts';
import { createStandInEntra, type StandInEntra } from './entra/stand-in-entra.ts';
import type { StandInTenant } from './entra/tenant.ts';
import { writeSampleCustomers } from './sample-customers.ts';
import { loadSampleData } from './sample-data.ts';
import { sampleOrigins, sampleTenants } from './sample-people.ts';
import { type Running, welcome } from './welcome.ts';

export type OpenGateway = (settings: Settings, env: NodeJS.ProcessEnv) => Promise<Running>;

const DEFAULT_LISTEN = '127.0.0.1:3712';

/** `npm start`: the gateway as it is, and around it what a company would bring: an Entra, people, data. */
export function createStartCommand(openGateway: OpenGateway): Command {
  return defineCommand({
    usage: `Usage: frame start

Everything for local use on 127.0.0.1: embedded Postgres in .frame/, a stand-in Entra, sample companies and data, the
gateway. Prints how to connect. Ctrl-C stops it all; the data stays.`,
    options: {},
    async run({ flags }, io) {
      const env = { FRAME_LISTEN: DEFAULT_LISTEN, FRAME_LOG: 'warn', ...io.env };
      const settings = await readSettings(env, flags, io.cwd, { toolNames: TOOL_NAMES });
      refuseOddPort(settings);
      // Another one would write its own sample companies over those that are being served.
      if (await isAuthorityAlive(settings.dataFolder)) {
        io.err(
          `Frame is running already on ${settings.dataFolder}: stop that one, or set FRAME_DATA to another folder.`,
        );
        return EXIT.locked;
      }
      // A closed terminal ends a demonstration; `serve` reads its files again instead.
      const stop = untilToldToStop(['SIGTERM', 'SIGINT', 'SIGHUP']);
      surviveWhatCanBeSurvived(io.err);
      await using closing = new AsyncDisposableStack();

      const origins = sampleOrigins(settings.listen.port);
      const tenants = sampleTenants(origins);
      const entra = await openEntra(settings, tenants);
      closing.defer(() => entra.close());
      const customersFile = io.env.FRAME_CUSTOMERS
        ? settings.customersFile
        : await writeSampleCustomers(settings.dataFolder, entra.authority, origins);
      const gateway = await openGateway({ ...settings, customersFile, origin: undefined }, env);
      closing.defer(() => gateway.close());

      await loadSampleData(gateway.door, gateway.customers().map(toAdmin));
      io.out(await welcome(gateway, entra, tenants, io.env.FRAME_DATA));
      await stop;
      io.out('\nStopping; the data stays.');
      return EXIT.ok;
    },
  });
}

// Private

/** Two origins and an issuer stand in files and tokens, so their ports must be known before anything listens. */
function refuseOddPort({ listen: { port } }: Settings): void {
  if (port > 0 && port < 65_535) return;
  const sentence = 'name a port from 1 to 65534: the stand-in Entra takes the one above it';
  throw new WrongConfiguration([{ file: 'FRAME_LISTEN', sentence }]);
}

/** One port above the gateway's, the same at every start: tokens name it as their issuer. */
async function openEntra({ dataFolder, listen }: Settings, tenants: readonly StandInTenant[]): Promise<StandInEntra> {
  const entra = createStandInEntra({ tenants, now: Date.now, dataFolder });
  const port = listen.port + 1;
  try {
    await noteAuthority(dataFolder, await entra.listen('127.0.0.1', port));
    return entra;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw thrown;
    const sentence = `127.0.0.1:${port} is in use: is Frame running already? Stop it, or set FRAME_LISTEN to another port.`;
    throw new WrongConfiguration([{ file: 'FRAME_LISTEN', sentence }]);
  }
}

/** The demonstration itself, at work in a company: what it does stands in the audit under its name. */
function toAdmin(customer: Customer): Caller {
  return {
    customer,
    person: { tenantId: customer.entra.tenantId, objectId: NOBODY, name: 'npm start', username: 'npm start' },
    role: 'admin',
    tools: new Set(CATALOGUE.map(({ name }) => name)),
    entities: customer.entities,
    scopes: [],
    rule: 'npm start',
  };
}

const NOBODY = '00000000-0000-0000-0000-000000000000';
