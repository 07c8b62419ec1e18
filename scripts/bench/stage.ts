import { randomBytes } from 'node:crypto';
import { chmod, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { openEmbedded } from '../../src/database/embedded.ts';
import { createStandInEntra } from '../../src/demo/entra/stand-in-entra.ts';
import { observeNothing } from '../../src/observe.ts';
import { findFreePort, runToEnd } from './child.ts';
import { type Meter, meterOf } from './processes.ts';

/** Everything a gateway needs around it, in a new folder: Postgres, an Entra, a migrated customer with ten people. */
export interface Stage {
  folder: string;
  /** What `frame` is, run with Node. */
  program: string;
  /** As superuser: for what is measured beside the gateway. */
  databaseUrl: string;
  postgres: Meter;
  origin: string;
  /** For `frame`, and nothing else. */
  env: Record<string, string>;
  /** One per person. */
  tokens: readonly string[];
  entities: number;
  /** What `frame migrate` took. */
  migrationMilliseconds: number;
}

export const ROOT = join(import.meta.dirname, '../..');
/** Where `frame migrate` puts the entity that is measured. */
export const SCHEMA = 'shop_prod';

export interface StageOptions {
  entities?: number;
  /** The tree whose `frame` is measured; this one when nothing is said. */
  root?: string;
  /** Of config/gateway.yaml, instead of what the tree ships. */
  config?: object;
}

/** `closing` clears all of it away again, also when it is asked to before this is done. */
export async function openStage(closing: AsyncDisposableStack, options: StageOptions = {}): Promise<Stage> {
  const { entities = 1, root = ROOT, config } = options;
  const folder = await mkdtemp(join(tmpdir(), 'frame-bench-'));
  closing.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  // When root runs this, the Postgres in it is another user's.
  await chmod(folder, 0o711);

  const opening = openEmbedded(folder, observeNothing);
  closing.defer(async () => (await opening).close());
  const server = await opening;
  const entra = createStandInEntra({ tenants: [TENANT], now: Date.now });
  const authority = await entra.listen('127.0.0.1', 0);
  closing.defer(() => entra.close());

  const { user, password, address } = server;
  const urlOf = (database: string) => `postgres://${user}:${password.reveal()}@127.0.0.1:${address.port}/${database}`;
  const listen = `127.0.0.1:${await findFreePort()}`;
  const env = {
    FRAME_DATA: folder,
    FRAME_DATABASE_URL: `${urlOf('postgres')}?sslmode=disable`,
    FRAME_CONFIG: join(folder, 'config'),
    FRAME_CUSTOMERS: join(folder, 'customers.yaml'),
    FRAME_LISTEN: listen,
    FRAME_LOG: 'info',
  };
  await cp(join(root, 'config'), env.FRAME_CONFIG, { recursive: true });
  if (config) await writeFile(join(env.FRAME_CONFIG, 'gateway.yaml'), JSON.stringify(config));
  await writeFile(env.FRAME_CUSTOMERS, customersFile(`http://${listen}`, authority, entities));
  await writeFile(join(folder, 'master.key'), randomBytes(32).toString('base64'), { mode: 0o600 });
  const program = join(root, 'src/main.ts');
  const started = performance.now();
  await runToEnd(process.execPath, [program, 'migrate'], folder, env);
  const migrationMilliseconds = performance.now() - started;

  return {
    folder,
    program,
    databaseUrl: urlOf('frame_bench'),
    postgres: meterOf(await postmasterOf(urlOf('postgres'))),
    origin: `http://${listen}`,
    env,
    tokens: await Promise.all(TENANT.people.map(({ username }) => entra.mint(username))),
    entities,
    migrationMilliseconds,
  };
}

// Private

const CLIENT_ID = '6f0c0000-0000-4000-8000-0000000000be';
const TENANT = {
  tenantId: '122fb574-0000-4000-8000-0000000000be',
  name: 'Bench',
  people: Array.from({ length: 10 }, (_, i) => ({
    objectId: `0b1ec700-0000-4000-8000-${String(i).padStart(12, '0')}`,
    name: `Person ${i}`,
    username: `person${i}@bench.example`,
  })),
  api: { clientId: CLIENT_ID, uris: ['api://bench'], scopes: ['access_as_user'], tokenVersion: 2 },
  clients: [],
} as const;

/** JSON is YAML. */
function customersFile(origin: string, authority: string, entities: number): string {
  const others = Array.from({ length: entities - 1 }, (_, i) => [`shop${i}`, { name: `Shop ${i}` }] as const);
  const bench = {
    name: 'Bench',
    origin,
    domains: ['bench.example'],
    entra: { tenant_id: TENANT.tenantId, audience: [CLIENT_ID], scope: 'access_as_user', authority },
    sign_in: 'direct',
    entities: { shop: { name: 'Shop' }, ...Object.fromEntries(others) },
    access: [{ who: '*@bench.example', role: 'admin' }],
  };
  return JSON.stringify({ customers: { bench } });
}

async function postmasterOf(url: string): Promise<number> {
  const sql = postgres(url, { max: 1 });
  const [row] = await sql`select split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int as pid`;
  await sql.end();
  return row?.pid;
}
