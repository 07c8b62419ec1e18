import type { HostFacts } from '../agent/protocol.ts';
import { defineCommand, EXIT, WrongUsage } from '../command.ts';
import { examineMachine, type LeftDesk, prepareMachine } from '../provision/prepare-machine.ts';
import { guessMachine, previewFiles } from '../provision/preview.ts';
import { type Report, toJson, toText } from '../provision/report.ts';
import { type Wish, wishFor } from '../provision/wish.ts';
import { INTERRUPTED, untilInterrupted } from '../remote/interrupt.ts';
import { sayFailure, verdictOn } from '../remote/outcome.ts';
import { plainJson } from '../remote/plain.ts';
import { createStepBoard, type Track } from '../remote/steps.ts';
import { chooseCustomer, openDesk } from '../remote/whom.ts';

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
  --force                break a lock whose holder lives: only when you know that nobody works there
  --dry-run              shows every file whole, without secrets, and changes nothing; also of a machine out of reach
Steps are told on standard error while they happen. Exit code: 1 failed, 2 wrong, refused or unreachable, 75 somebody else
works there, 130 you left. What is left for people to do is no failure.`,
  options: {
    ports: { type: 'string' },
    supervisor: { type: 'string' },
    'no-proxy-restart': { type: 'boolean', default: false },
    force: { type: 'boolean', default: false },
    'dry-run': { type: 'boolean', default: false },
  },
  words: { least: 1, most: 1 },
  async run({ words, values, flags, isJson }, io) {
    const choices = {
      ports: readPorts(values.ports),
      supervisor: readSupervisor(values.supervisor),
      restartProxy: !values['no-proxy-restart'],
      force: values.force,
    };
    const desk = await openDesk(io, flags);
    const customer = chooseCustomer(desk, words[0]);
    const wish = await wishFor(customer, desk, choices, io.env);
    using board = createStepBoard(io, [customer.id]);
    const work = values['dry-run'] ? plan : prepare;
    const leave = () => {
      board[Symbol.dispose]();
      const after = 'What the machine has begun it brings to its end; the same command again says what is left to do.';
      io.err(values['dry-run'] ? 'Left. Nothing was changed.' : `Left. ${after}`);
    };
    const report = await untilInterrupted(leave, signal =>
      work(wish, { ...desk, signal }, board.track(customer.id)).catch(verdictOn),
    );
    if (!report) return INTERRUPTED;
    if ('failure' in report) {
      sayFailure(customer.id, report, io);
      const { result, failure } = report;
      if (isJson) io.out(plainJson({ customer: customer.id, host: customer.host, result, failure }));
      return report.exit;
    }
    if (isJson) io.out(plainJson(toJson(report)));
    else for (const line of toText(report)) io.out(line);
    return EXIT.ok;
  },
});

// Private

async function prepare(wish: Wish, desk: LeftDesk, track: Track): Promise<Report> {
  const machine = await prepareMachine(wish, desk, track);
  return { wish, machine, outcome: machine };
}

async function plan(wish: Wish, desk: LeftDesk, track: Track): Promise<Report> {
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
