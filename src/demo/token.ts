import { readSettings } from '../config/settings.ts';
import { FrameError } from '../errors.ts';
import { defineCommand, EXIT } from '../operator/command.ts';
import { readAuthority } from './authority-file.ts';
import { createStandInEntra } from './entra/stand-in-entra.ts';
import type { StandInPerson, StandInTenant } from './entra/tenant.ts';
import { readSampleCustomers } from './sample-customers.ts';
import { sampleOrigins, sampleTenants } from './sample-people.ts';
import { createSampleTokens } from './sample-tokens.ts';

/** Speaks for the stand-in that `npm start` runs on the same data folder: it needs its keys, and the gateway to sign in at. */
export const tokenCommand = defineCommand({
  usage: `Usage: frame token <email> [--customer C]

Prints an access token of a sample person. With the stand-in Entra of \`npm start\` only, while that runs: real people sign
in at their own Entra.`,
  options: {},
  words: { least: 1, most: 1 },
  async run({ words: [email = ''], flags, isJson }, io) {
    const { dataFolder } = await readSettings(io.env, flags, io.cwd);
    const authority = await readAuthority(dataFolder);
    if (!authority) {
      throw new FrameError('access/not-admitted', `No stand-in Entra has run on ${dataFolder}.`, {
        hint: 'Start it with `npm start`; FRAME_DATA names its folder.',
      });
    }
    // The people and the ids are the same wherever the companies are reached.
    const tenants = sampleTenants(sampleOrigins(0));
    const { tenant, person } = findMember(tenants, email);
    const customer = (await readSampleCustomers(dataFolder)).byTenant(tenant.tenantId);
    const entra = createStandInEntra({ tenants, now: Date.now, dataFolder, authority });
    const tokenOf = createSampleTokens(entra, 'frame token');
    const token = customer?.origin && (await tokenOf({ customer, origin: customer.origin, person }).catch(notRunning));
    if (!token) throw new FrameError('access/not-admitted', `${email} is not let in.`);
    io.out(isJson ? JSON.stringify({ email, customer: customer.id, token }) : token);
    return EXIT.ok;
  },
});

// Private

function findMember(
  tenants: readonly StandInTenant[],
  email: string,
): { tenant: StandInTenant; person: StandInPerson } {
  const members = tenants.flatMap(tenant => tenant.people.map(person => ({ tenant, person })));
  const member = members.find(({ person }) => person.username.toLowerCase() === email.toLowerCase());
  if (member) return member;
  throw new FrameError('access/not-admitted', `The stand-in Entra knows nobody called ${email}.`, {
    hint: `It knows ${members.map(({ person }) => person.username).join(', ')}.`,
  });
}

/** fetch says only that it failed. */
function notRunning(thrown: unknown): never {
  if (!(thrown instanceof TypeError)) throw thrown;
  const message = 'People of this company sign in at the gateway, which does not run.';
  throw new FrameError('unavailable', message, { hint: 'Start it with `npm start`.', cause: thrown });
}
