import { openServer } from '../../src/database/server.ts';
import { observeNothing } from '../../src/observe.ts';

// A process of its own that uses the embedded server of a data folder until its parent says `leave`.
const dataFolder = process.argv[2] ?? '';
const server = await openServer({ dataFolder, observe: observeNothing });
process.send?.({ port: server.address.port });
process.once('message', async () => {
  await server.close();
  process.disconnect?.();
});
