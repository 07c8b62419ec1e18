import { once } from 'node:events';
import { readSettings, type Settings } from '../../config/settings.ts';
import { TOOL_NAMES } from '../../tools/catalogue.ts';
import { type Command, defineCommand, EXIT } from '../command.ts';

/** What this command needs of a gateway; gateway.ts stands above the operator's room. */
export interface Running {
  reload(): Promise<void>;
  close(): Promise<void>;
}

export type OpenGateway = (settings: Settings, env: NodeJS.ProcessEnv) => Promise<Running>;

export function createServeCommand(openGateway: OpenGateway): Command {
  return defineCommand({
    usage: `Usage: frame serve

One gateway (a slot): the MCP endpoint, discovery and health, until SIGTERM or SIGINT. It drains before it ends.
With FRAME_DATABASE_URL it changes nothing in the database and refuses to start when something is missing; without, it
starts the embedded Postgres and brings it up to date first. SIGHUP reads customers.yaml again.`,
    options: {},
    async run({ flags }, io) {
      const settings = await readSettings(io.env, flags, io.cwd, { toolNames: TOOL_NAMES });
      const stop = untilToldToStop();
      surviveWhatCanBeSurvived(io.err);
      const gateway = await openGateway(settings, io.env);
      process.on('SIGHUP', () => void gateway.reload());
      await stop;
      await gateway.close();
      return EXIT.ok;
    },
  });
}

/**
 * Resolves on the first SIGTERM or SIGINT. Ask before anything is opened: a signal that nobody listens for ends the
 * process where it stands, and what it had started runs on. Until there is something to reload, SIGHUP does nothing. Another one ends the process at once, for somebody who cannot wait; but a
 * Ctrl-C under npm arrives twice, from the terminal and from npm, and that is one wish.
 */
export async function untilToldToStop(signals: readonly NodeJS.Signals[] = STOP_SIGNALS): Promise<void> {
  process.on('SIGHUP', () => {});
  await Promise.race(signals.map(signal => once(process, signal)));
  const impatientAt = performance.now() + SAME_WISH_MS;
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      if (performance.now() > impatientAt) process.exit(EXIT.failed);
    });
  }
}

/**
 * A promise that nobody waited for must not end the process for all customers. An exception that nobody caught leaves
 * unknown state behind, so that one drains and ends it: the supervisor starts it again.
 */
export function surviveWhatCanBeSurvived(report: (line: string) => void): void {
  process.on('unhandledRejection', reason => report(`unhandled rejection: ${describe(reason)}`));
  process.on('uncaughtException', error => {
    report(`uncaught exception: ${describe(error)}`);
    process.exitCode = EXIT.failed;
    process.kill(process.pid, 'SIGTERM');
  });
}

// Private

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const SAME_WISH_MS = 1000;

function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
