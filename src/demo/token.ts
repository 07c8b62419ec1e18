import { readSettings } from '../config/settings.ts';
import { FrameError } from '../errors.ts';
import { defineCommand, EXIT } from '../operator/command.ts';
import { readAuthority } from './authority-file.ts';
import { createStandInEntra } from './entra/stand-in-entra.ts';
import { sampleOrigins, sampleTenants } from './sample-people.ts';

/** Speaks for the stand-in that `npm start` runs on the same data folder: it needs its keys, not its process. */
export const tokenCommand = defineCommand({
  usage: `Usage: frame token <email> [--customer C]

Prints an access token of a sample person, good for about an hour. With the stand-in Entra of \`npm start\` only: real
people sign in at their own Entra.`,
  options: {},
  words: { least: 1, most: 1 },
  async run({ words: [email = ''], flags, isJson }, io) {
    const { dataFolder, customer } = await readSettings(io.env, flags, io.cwd);
    const authority = await readAuthority(dataFolder);
    if (!authority) {
      throw new FrameError('access/not-admitted', `No stand-in Entra has run on ${dataFolder}.`, {
        hint: 'Start it with `npm start`; FRAME_DATA names its folder.',
      });
    }
    // Access tokens of version 2 name the client id, whatever the origins are.
    const tenants = sampleTenants(sampleOrigins(0));
    const people = tenants.flatMap(({ people }) => people.map(({ username }) => username));
    if (!people.includes(email.toLowerCase())) {
      throw new FrameError('access/not-admitted', `The stand-in Entra knows nobody called ${email}.`, {
        hint: `It knows ${people.join(', ')}.`,
      });
    }
    const entra = createStandInEntra({ tenants, now: Date.now, dataFolder, authority });
    const token = await entra.mint(email);
    io.out(isJson ? JSON.stringify({ email, customer, token }) : token);
    return EXIT.ok;
  },
});
