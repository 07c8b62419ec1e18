import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/**
 * The program of a release that is small enough to be started a hundred times in a test: `check`, `migrate` and `serve` as
 * the gateway has them, and on demand every way in which a release can be bad. What it shall do lies in behaviour.json
 * in the release that was started, and is read again on every request. While the file `wait` lies in FRAME_DATA, `serve`
 * does not listen yet.
 */
export interface Behaviour {
  /** Exit code of `check`. */
  check?: number;
  /** Of `check`: a customers.yaml with this in it is not accepted. */
  refuses?: string;
  /** Of `migrate`: exit code, or it never ends. */
  migrate?: number | 'hangs';
  /** The newest breaking migration that this release knows. */
  breaking?: number;
  /** How the database must be: `migrate` makes it so, and `serve` does not start where it is not. */
  walls?: string;
  /** Of `serve`: exit code at once. */
  crash?: number;
  /** What `ready` answers with; default 200. */
  ready?: number;
  /** It takes so long for that. */
  readyMs?: number;
  /** What `ready` says instead of the truth. */
  claims?: { release?: string; slot?: string };
  /** Calls of tools fail, though `ready` is well. */
  lies?: boolean;
  /** A call of a tool takes so long. */
  callMs?: number;
  /** Status of the answers at /frame/mcp with a token. */
  status?: number;
  /** What a call without a token is answered with; default 401. */
  open?: number;
  /** SIGTERM is not heard. */
  stubborn?: boolean;
}

const root = join(process.argv[1] ?? '', '../..');
const { release } = JSON.parse(readFileSync(join(root, 'release.json'), 'utf8'));
const { FRAME_DATABASE_URL, FRAME_CUSTOMERS = '', FRAME_DATA = '', FRAME_SLOT = '', FRAME_LISTEN = '' } = process.env;

const WALLS = join(FRAME_DATA, 'walls');
const WAIT = join(FRAME_DATA, 'wait');

const verbs: Record<string, () => Promise<number> | number> = { check, migrate, serve };
process.exitCode = await verbs[process.argv[2] ?? '']?.();

// Private

function behaviour(): Behaviour {
  return JSON.parse(readFileSync(join(root, 'behaviour.json'), 'utf8'));
}

function check(): number {
  const { refuses } = behaviour();
  const text = readFileSync(FRAME_CUSTOMERS, 'utf8');
  if (refuses && text.includes(refuses)) console.log(`${refuses} is no role`);
  if (refuses && text.includes(refuses)) return 2;
  const line = text.split('\n').indexOf('broken') + 1;
  if (line > 0) console.log(`${relative(process.cwd(), FRAME_CUSTOMERS)}:${line}:1  this line is broken`);
  return line > 0 ? 2 : (behaviour().check ?? 0);
}

async function migrate(): Promise<number> {
  const { migrate: outcome = 0, breaking = 0, walls = '' } = behaviour();
  if (outcome === 'hangs') await pause(60_000);
  if (outcome !== 0) console.error(`no connection to ${FRAME_DATABASE_URL}`);
  if (outcome !== 0) return Number(outcome);
  const ledger = join(FRAME_DATA, 'ledger');
  const has = Number(readFileSync(ledger, { encoding: 'utf8', flag: 'a+' }));
  if (has > breaking) console.log(`database  schema axe_prod has the breaking migration ${has}`);
  if (has > breaking) return 2;
  writeFileSync(ledger, `${breaking}`);
  writeFileSync(WALLS, walls);
  console.log('axe: up to date\nserver: 1 wall built or mended\n  login x has other settings than it should');
  return 0;
}

async function serve(): Promise<number> {
  const { crash, stubborn, walls } = behaviour();
  console.error(`starting ${release} in ${FRAME_SLOT} with ${FRAME_DATABASE_URL}`);
  if (crash !== undefined) console.error('Error: something is missing');
  if (crash !== undefined) return crash;
  if (walls !== undefined && readFileSync(WALLS, 'utf8') !== walls) console.error('the walls are not mine');
  if (walls !== undefined && readFileSync(WALLS, 'utf8') !== walls) return 2;
  const counts = new Map<string, number>();
  const count = (name: string, by = 1) => counts.set(name, (counts.get(name) ?? 0) + by);
  // Neither `check` nor `migrate` waits for it.
  const { createServer } = await import('node:http');
  const server = createServer(async (request, response) => {
    const { ready = 200, readyMs = 0, claims, lies, callMs = 1, status: called = 200, open = 401 } = behaviour();
    const route = request.url ?? '';
    let status = 404;
    let body = '';
    if (route === '/frame/ready') {
      if (readyMs > 0) await pause(readyMs);
      status = ready;
      body = JSON.stringify({
        release,
        slot: FRAME_SLOT,
        checks: { database: ready === 200 ? 'ok' : 'failed' },
        ...claims,
      });
    } else if (route === '/frame/metrics') {
      status = 200;
      body = [...counts].map(([name, value]) => `${name} ${value}\n`).join('');
    } else if (route === '/frame/mcp' && !request.headers.authorization) {
      // As the gateway: nobody is served under a name that is not the customer's.
      status = request.headers.host === 'axe.example.com' ? open : 403;
      if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
    } else if (route === '/frame/mcp') {
      await pause(callMs);
      status = called;
      body = '{}';
      count(`frame_tool_calls_total{tool="list_tables",outcome="${lies ? 'error' : 'ok'}"}`);
      count('frame_tool_call_seconds_sum{tool="list_tables"}', callMs / 1000);
      count('frame_tool_call_seconds_count{tool="list_tables"}');
    }
    count(`frame_http_requests_total{route="${route}",status="${status}"}`);
    response.writeHead(status, { 'X-Frame-Release': claims?.release ?? release, 'X-Frame-Slot': FRAME_SLOT });
    response.end(body);
  });
  while (existsSync(WAIT)) await pause(20);
  server.listen(Number(FRAME_LISTEN.split(':')[1]), '127.0.0.1');
  const { promise, resolve } = Promise.withResolvers<number>();
  process.on('SIGTERM', () => {
    if (stubborn) return;
    server.close(() => resolve(0));
    server.closeAllConnections();
  });
  return await promise;
}
