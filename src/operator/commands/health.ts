import { type Command, defineCommand, EXIT } from '../command.ts';
import { createNetwork, type Network } from '../doctor/network.ts';
import { examineAll } from '../health/examine.ts';
import { createInspect } from '../health/inspect.ts';
import { judge, type State } from '../health/judge.ts';
import { toJson, toText } from '../health/report.ts';
import { readTailnet } from '../health/tailnet.ts';
import { plain, plainJson } from '../remote/plain.ts';
import { MEANS, type Means } from '../remote/reach.ts';
import { chooseCustomers, openDesk, sayWhoIsLeftOut } from '../remote/whom.ts';

/** `network`: how customers are reached as their people reach them. */
export function createHealthCommand(network: Network, { openHost }: Pick<Means, 'openHost'> = MEANS): Command {
  return defineCommand({
    usage: `Usage: frame health [customer…] [options]

How all customers are that have a machine, or those that are named, on one screen: the live slot and its release, the other
slot, the proxy, database and migrations, disk, the way through the internet with its certificate, and the machine in the
tailnet, where tailscale is here. Below the table stands what is not well, and the command that mends it.
Exit code 0: all are well · 1: something is degraded · 2: somebody cannot be reached, or wrong usage`,
    options: {},
    words: { least: 0, most: Number.POSITIVE_INFINITY },
    async run({ words, flags, isJson }, io) {
      const desk = await openDesk(io, flags);
      const { config } = desk;
      const { examinations, remark } = await examineAll(chooseCustomers(desk, words), {
        inspect: createInspect(desk, openHost),
        network,
        readTailnet: () => readTailnet(io.env),
        connectSeconds: config.steps.connectSeconds,
        now: Date.now,
      });
      const now = Date.now();
      const reports = examinations.map(examination => ({ ...examination, ...judge(examination, config, now) }));
      if (isJson) io.out(plainJson(reports.map(toJson)));
      else
        for (const line of toText(reports, now, painter(io.outIsTerminal === true && !io.env.NO_COLOR))) io.out(line);
      if (words.length === 0) sayWhoIsLeftOut(desk, io);
      if (remark !== undefined) io.err(`${plain(remark)}.`);
      if (reports.some(({ state }) => state === 'unreachable')) return EXIT.wrong;
      return reports.every(({ state }) => state === 'ok') ? EXIT.ok : EXIT.failed;
    },
  });
}

export const healthCommand = createHealthCommand(createNetwork());

// Private

const COLOURS: Record<State, number> = { ok: 32, degraded: 33, unreachable: 31 };

function painter(hasColours: boolean): (state: State, text: string) => string {
  return (state, text) => (hasColours ? `\x1b[${COLOURS[state]}m${text}\x1b[0m` : text);
}
