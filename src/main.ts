import { enableCompileCache } from 'node:module';
import { FrameError, formatMistake, WrongConfiguration } from './errors.ts';
import type { Command, Io } from './operator/command.ts';

/**
 * The `frame` command: argv → one command file, loaded only when it is asked for. The table below is all there is.
 */
interface Entry {
  summary: string;
  load(): Promise<Command>;
}

const COMMANDS: Record<string, Entry> = {
  start: {
    summary: 'everything for local use: Postgres, a stand-in Entra, sample people and data, the gateway',
    load: async () => {
      const [{ createStartCommand }, { openGateway }] = await Promise.all([
        import('./demo/start.ts'),
        import('./gateway.ts'),
      ]);
      return createStartCommand(openGateway);
    },
  },
  serve: {
    summary: 'one gateway (a slot) against a real database, from configuration',
    load: async () => {
      const [{ createServeCommand }, { openGateway }] = await Promise.all([
        import('./operator/commands/serve.ts'),
        import('./gateway.ts'),
      ]);
      return createServeCommand(openGateway);
    },
  },
  check: {
    summary: 'reads all configuration and prints every mistake with file, line and column',
    load: async () => {
      const [{ createCheckCommand }, { TOOL_NAMES }] = await Promise.all([
        import('./operator/commands/check.ts'),
        import('./tools/catalogue.ts'),
      ]);
      return createCheckCommand(TOOL_NAMES);
    },
  },
  migrate: {
    summary: 'creates or upgrades databases, schemas, roles and rights for all customers',
    load: async () => (await import('./operator/commands/migrate.ts')).migrateCommand,
  },
  import: {
    summary: 'loads a CSV or JSON file into a table, all or nothing',
    load: async () => (await import('./operator/commands/import.ts')).importCommand,
  },
  can: {
    summary: 'which rule admits a person, which tools they get, and why not the others',
    load: async () => {
      const [{ createCanCommand }, { CATALOGUE }] = await Promise.all([
        import('./operator/commands/can.ts'),
        import('./tools/catalogue.ts'),
      ]);
      return createCanCommand(CATALOGUE);
    },
  },
  keys: {
    summary: 'API keys for scripts and agents: create, list, revoke, rotate',
    load: async () => (await import('./operator/commands/keys.ts')).keysCommand,
  },
  sessions: {
    summary: 'who is signed in through the gateway, and their end',
    load: async () => (await import('./operator/commands/sessions.ts')).sessionsCommand,
  },
  pii: {
    summary: 'personal data: how it is sealed, and new keys for it',
    load: async () => (await import('./operator/commands/pii.ts')).piiCommand,
  },
  entity: {
    summary: 'entity shred: destroys the keys of an entity’s personal data',
    load: async () => (await import('./operator/commands/entity.ts')).entityCommand,
  },
  audit: {
    summary: 'audit verify: is the record whole?',
    load: async () => (await import('./operator/commands/audit.ts')).auditCommand,
  },
  deploy: {
    summary: "brings a release to customers' machines: built, sent, proven, live, and back if it is worse",
    load: async () => (await import('./operator/commands/deploy.ts')).deployCommand,
  },
  promote: {
    summary: 'what was staged at a customer takes over',
    load: async () => (await import('./operator/commands/promote.ts')).promoteCommand,
  },
  rollback: {
    summary: 'what served before at a customer serves again',
    load: async () => (await import('./operator/commands/rollback.ts')).rollbackCommand,
  },
  slot: {
    summary: "slot list, status, cleanup: the two slots of customers' machines",
    load: async () => (await import('./operator/commands/slot.ts')).slotCommand,
  },
  status: {
    summary: 'how what runs at a customer differs from customers.yaml and git, and what mends it',
    load: async () => (await import('./operator/commands/status.ts')).statusCommand,
  },
  token: {
    summary: 'with the stand-in Entra only: prints an access token',
    load: async () => (await import('./demo/token.ts')).tokenCommand,
  },
  provision: {
    summary: "prepares a customer's machine from nothing, and says what is left to do by hand",
    load: async () => (await import('./operator/commands/provision.ts')).provisionCommand,
  },
  health: {
    summary: 'all customers on one screen: slots, proxy, database, disk, certificate, tailnet',
    load: async () => (await import('./operator/commands/health.ts')).healthCommand,
  },
  doctor: {
    summary: 'walks the path that a client walks, and names the first broken step',
    load: async () => (await import('./operator/commands/doctor.ts')).doctorCommand,
  },
};

const io: Io = {
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  out: line => process.stdout.write(`${line}\n`),
  err: line => process.stderr.write(`${line}\n`),
  status: text => void (process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`)),
  isTerminal: process.stderr.isTTY === true,
  outIsTerminal: process.stdout.isTTY === true,
};

enableCompileCache();
// Whoever reads along may leave (`frame can … | head`), and a closed terminal is no reason to fall over.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
const code = await main(process.argv.slice(2));
process.exitCode ||= code;

// Private

async function main([name = '--help', ...args]: string[]): Promise<number> {
  if (name === '--help' || name === '-h' || name === 'help') return showUsage();
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!entry) {
    io.err(`frame: there is no command \`${name}\`. \`frame --help\` lists them.`);
    return 2;
  }
  try {
    const command = await entry.load();
    if (args.includes('--help') || args.includes('-h')) {
      io.out(command.usage);
      return 0;
    }
    return await command.run(args, io);
  } catch (thrown) {
    return explain(thrown, args.includes('--json'));
  }
}

function showUsage(): number {
  const width = Math.max(...Object.keys(COMMANDS).map(name => name.length));
  io.out('Usage: frame <command> [options]\n');
  for (const [name, { summary }] of Object.entries(COMMANDS)) io.out(`  ${name.padEnd(width)}  ${summary}`);
  io.out('\n`frame <command> --help` says more.');
  return 0;
}

/** Exit code and a sentence for whatever stopped a command: 2 for configuration, 1 for the rest. For machines a document. */
function explain(thrown: unknown, isJson: boolean): number {
  if (thrown instanceof WrongConfiguration) {
    for (const mistake of thrown.mistakes) io.err(formatMistake(mistake));
    return 2;
  }
  if (thrown instanceof FrameError) {
    const { code, message, hint } = thrown;
    if (isJson) io.out(JSON.stringify({ failure: { code, message, hint } }));
    io.err(`frame: ${message}${hint ? ` ${hint}` : ''}`);
    if (thrown.detail && process.env.FRAME_LOG === 'debug') io.err(thrown.detail);
    return 1;
  }
  io.err(`frame: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}`);
  return 1;
}
