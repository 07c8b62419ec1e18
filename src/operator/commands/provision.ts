import type { HostFacts } from '../agent/protocol.ts';
import { defineCommand, EXIT, WrongUsage } from '../command.ts';
import { examineMachine, prepareMachine } from '../provision/prepare-machine.ts';
import { guessMachine, previewFiles } from '../provision/preview.ts';
import { type Report, toJson, toText } from '../provision/report.ts';
import { type Wish, wishFor } from '../provision/wish.ts';
import { sayFailure, verdictOn } from '../remote/outcome.ts';
import { plainJson } from '../remote/plain.ts';
import { createStepBoard, type Track } from '../remote/steps.ts';
import { chooseCustomers, type Desk, openDesk } from '../remote/whom.ts';

/** Prepares a customer's machine from nothing, and says what only a person can do there. */
export const provisionCommand = defineCommand({
  usage: `Usage: frame provision <customer> [options]

Prepares a customer's machine (macOS or Linux) over ssh, from nothing: folders, Node for our agent, master key, variables,
database login and databases, the proxy's files, and what launchd or systemd needs to keep it all running. Then it prints
the tunnel's ingress and what is left to do by hand, with the commands. Safe to repeat: what is right stays as it is.
FRAME_DATABASE_URL may name a superuser as the machine sees it, and customers.yaml's \${NAME} are taken from here if set.
  --ports B,G,P          of blue, green and the proxy; default: as they are, else 3710,3711,3712
  --supervisor NAME      launchd, systemd or none; default: as it is, else the system's own
  --no-proxy-restart     new routes wait: otherwise the proxy starts anew for them, and event streams end once
  --dry-run              shows every file whole, without secrets, and changes nothing; also of a machine out of reach
Steps are told on standard error while they happen. Exit code: 1 failed, 2 wrong, refused or unreachable, 75 somebody else
works there. What is left for people to do is no failure.`,
  options: {
    ports: { type: 'string' },
    supervisor: { type: 'string' },
    'no-proxy-restart': { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
  },
  words: { least: 1, most: 1 },
  async run({ words, values, flags, isJson }, io) {
    const choices = {
      ports: readPorts(values.ports),
      supervisor: readSupervisor(values.supervisor),
      restartProxy: !values['no-proxy-restart'],
    };
    const desk = await openDesk(io, flags);
    const [customer] = chooseCustomers(desk.customers, words);
    if (!customer) throw new WrongUsage('Name a customer.');
    const wish = await wishFor(customer, desk, choices, io.env);
    using board = createStepBoard(io, [customer.id]);
    try {
      const work = values['dry-run'] ? plan : prepare;
      const report = await work(wish, desk, board.track(customer.id));
      if (isJson) io.out(plainJson(toJson(report)));
      else for (const line of toText(report)) io.out(line);
      return EXIT.ok;
    } catch (thrown) {
      const verdict = verdictOn(thrown);
      sayFailure(customer.id, verdict, io);
      return verdict.exit;
    }
  },
});

// Private

async function prepare(wish: Wish, desk: Desk, track: Track): Promise<Report> {
  const machine = await prepareMachine(wish, desk, track);
  return { wish, machine, outcome: machine };
}

async function plan(wish: Wish, desk: Desk, track: Track): Promise<Report> {
  const found = await examineMachine(wish, desk, track);
  const isAsked = !('unasked' in found);
  const machine = isAsked ? found : guessMachine(wish, desk, found.os);
  const files = await previewFiles(wish, machine.host, machine);
  return isAsked ? { wish, machine, files, outcome: found } : { wish, machine, files, unasked: found.unasked };
}

function readPorts(text: string | undefined): HostFacts['ports'] | undefined {
  if (text === undefined) return undefined;
  const [blue = 0, green = 0, proxy = 0, ...more] = /^[\d,]+$/.test(text) ? text.split(',').map(Number) : [];
  const ports = [blue, green, proxy];
  const areRight = ports.every(port => port >= 1024 && port <= 65_535) && new Set(ports).size === 3;
  if (areRight && more.length === 0) return { blue, green, proxy };
  throw new WrongUsage('--ports takes three different ports above 1023, such as 3710,3711,3712.');
}

function readSupervisor(text: string | undefined): HostFacts['supervisor'] | undefined {
  const found = (['launchd', 'systemd', 'none'] as const).find(name => name === text);
  if (text === undefined || found) return found;
  throw new WrongUsage('--supervisor takes launchd, systemd or none.');
}
