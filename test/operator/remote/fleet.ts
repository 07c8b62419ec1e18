import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Layout } from '../../../src/operator/agent/layout.ts';
import { type Sshd, startSshd } from '../../support/sshd.ts';
import { eventually, type Machine, makeMachine, snapshot, textOf } from '../agent/fixture.ts';
import type { Behaviour } from '../agent/tiny-release.ts';
import type { Transcript } from '../fixture.ts';
import { makeTinyRelease } from './make-release.ts';
import { commandsWith } from './tiny-means.ts';

/** An operator's laptop and the machines of some customers: real ssh, real agents, real slots behind real proxies. */
export interface Fleet extends AsyncDisposable {
  /** The laptop's working folder: customers.yaml and config/ are in it. */
  folder: string;
  env: Record<string, string>;
  sshd: Sshd;
  machine(customer: string): Machine;
  /** A commit, checked out. Resolves to the id of its release. */
  commit(number: number, behaviour?: Behaviour): Promise<string>;
  /** One command, as a shell would run it; `line` is split at blanks. */
  frame(line: string, env?: Record<string, string>): Promise<Transcript>;
  write(file: string, text: string): Promise<void>;
}

/** `dead`: customers whose machine cannot be reached. */
export async function makeFleet(ids: readonly string[], dead: readonly string[] = []): Promise<Fleet> {
  await using making = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "frame-laptop it's $(here) "));
  making.defer(() => rm(folder, { recursive: true, force: true }));
  const sshd = await startSshd({ aliases: ids.map(hostOf), dead: dead.map(hostOf) });
  making.defer(() => sshd.close());
  const machines = new Map<string, Machine>();
  for (const id of ids) machines.set(id, making.use(await makeMachineOf(id, join(folder, 'homes'))));
  const releases = join(folder, 'releases');
  await mkdir(releases);
  await cp(join(import.meta.dirname, '../../../config'), join(folder, 'config'), { recursive: true });
  await writeFile(join(folder, 'customers.yaml'), customersYaml([...ids, ...dead]));
  await writeFile(join(folder, 'config/deploy.yaml'), deployYaml(join(folder, 'homes')));

  const commands = commandsWith(releases);
  const env = { FRAME_SSH_CONFIG: sshd.configFile, FRAME_DATA: join(folder, 'data') };
  const made = making.move();
  return {
    folder,
    env,
    sshd,
    machine(customer) {
      const machine = machines.get(customer);
      if (!machine) throw new Error(`${customer} has no machine`);
      return machine;
    },
    commit: (number, behaviour) => makeTinyRelease(releases, number, behaviour),
    write: (file, text) => writeFile(join(folder, file), text),
    async frame(line, more = {}) {
      const [name = '', ...args] = line.split(' ').filter(Boolean);
      const [out, err]: [string[], string[]] = [[], []];
      const exit = await commands[name as keyof typeof commands].run(args, {
        env: { ...env, ...more },
        cwd: folder,
        out: text => out.push(text),
        err: text => err.push(text),
        status: () => {},
        stdin: Readable.from([]),
        isTerminal: false,
      });
      return { exit, out: out.join('\n'), err: err.join('\n') };
    },
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  };
}

/** Those that end within a test. */
export function deployYaml(homes: string, more = ''): string {
  return `home: ${JSON.stringify(`${homes}/{customer}`)}
min_free_megabytes: 1
batch: 2
steps: { stop_seconds: 5, migrate_seconds: 20 }
watch: { seconds: 0 }
${more.includes('verify:') ? '' : 'verify: { answers: 3, seconds: 5 }\n'}${more.includes('gate:') ? '' : 'gate: { answers: 2, seconds: 8 }\n'}${more}`;
}

export function customersYaml(ids: readonly string[], withoutHost: readonly string[] = []): string {
  const entries = [...ids, ...withoutHost].map(
    (id, i) => `
  ${id}:
    name: ${id}
    origin: https://axe.example.com
    ${withoutHost.includes(id) ? '' : `host: ${hostOf(id)}`}
    domains: [${id}.example]
    entra:
      tenant_id: 122fb574-0000-4000-8000-00000000000${i}
      audience: [api://${id}]
      scope: access_as_user
      client_id: 6f0c0000-0000-4000-8000-00000000000${i}
      client_secret: \${AXE_ENTRA_CLIENT_SECRET}
    entities: { ${id}: { name: ${id} } }
    access: [{ who: "*@${id}.example", role: view }]`,
  );
  return `customers:${entries.join('')}\n`;
}

export function hostOf(id: string): string {
  return `${id}-macmini`;
}

/** All that lies on a machine, but for the agent, which the laptop brings along to ask it anything. */
export async function everythingOn({ layout }: Machine): Promise<Record<string, string>> {
  const all = Object.entries(await snapshot(layout));
  return Object.fromEntries(all.filter(([path]) => path !== 'agent' && !path.startsWith('agent/')));
}

/** Before a deploy: its release does not listen until `thaw`, so the agent stays in its gate. */
export async function freeze({ layout }: Machine): Promise<void> {
  await writeFile(waitFile(layout), '');
}

export async function thaw({ layout }: Machine): Promise<void> {
  await rm(waitFile(layout));
}

export async function untilGate({ layout }: Machine): Promise<void> {
  const step = async () => JSON.parse(await textOf(layout.journal).catch(() => '{}')).step;
  await eventually(async () => (await step()) === 'gate', 60_000);
}

// Private

const waitFile = ({ home }: Layout) => join(home, 'state/data/wait');

/** The home has a name of its own; the laptop knows it by that of the customer. */
async function makeMachineOf(id: string, homes: string): Promise<Machine> {
  const machine = await makeMachine();
  const { layout, ports } = machine;
  await mkdir(homes, { recursive: true });
  await symlink(layout.home, join(homes, id));
  await symlink(process.execPath, layout.node);
  await writeFile(layout.host, JSON.stringify({ customer: id, ports, supervisor: 'none' }));
  await writeFile(layout.env, (await textOf(layout.env)).replace('FRAME_CUSTOMER=axe', `FRAME_CUSTOMER=${id}`));
  return machine;
}
