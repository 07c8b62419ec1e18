import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { callerOf, customerNamed, type Gateway, startGateway } from '../http/fixture.ts';
import { createConformanceDoor } from './door.ts';

/** The public MCP conformance suite against the real HTTP stack and MCP endpoint, for both revisions that we serve. */
const REVISIONS = ['2025-11-25', '2026-07-28'];
const suite = join(import.meta.dirname, '../../node_modules/@modelcontextprotocol/conformance');
const baseline: { reason: string; checks: string[] }[] = parse(
  readFileSync(join(import.meta.dirname, 'baseline.yaml'), 'utf8'),
);
const expected = baseline.flatMap(({ checks }) => checks);

interface Requirements {
  server: string[];
  not_scored: { scenario: string; leg: string; reason: string }[];
}

let gateway: Gateway;
let folder: string;

beforeAll(async () => {
  const caller = callerOf(customerNamed('axe'));
  const access = { authenticate: async () => caller, refuseExposedKey: async () => {} };
  gateway = await startGateway({ door: createConformanceDoor(), access });
  folder = await mkdtemp(join(tmpdir(), 'frame-conformance-'));
});

afterAll(async () => {
  await gateway?.stop();
  await rm(folder, { recursive: true, force: true });
});

test.each(REVISIONS)('%s: what fails is what the baseline says, and no more', { timeout: 120_000 }, async revision => {
  const scenarios = new Set(scenariosOf(revision));
  const { ran, failed } = await runSuite(revision);
  expect(scenarios.difference(ran)).toEqual(new Set());
  const ofThese = (check: string) => scenarios.has(scenarioOf(check));
  expect([...failed].filter(ofThese).sort()).toEqual(expected.filter(ofThese).sort());
});

test('the baseline names scenarios that exist, each check once', () => {
  const scenarios = new Set(REVISIONS.flatMap(scenariosOf));
  expect(expected.filter(check => !scenarios.has(scenarioOf(check)))).toEqual([]);
  expect(expected.filter((check, i) => expected.indexOf(check) !== i)).toEqual([]);
});

function scenarioOf(check: string): string {
  return check.slice(0, check.indexOf(':'));
}

/** All server scenarios of the revision, but for the optional extensions. */
function scenariosOf(revision: string): string[] {
  const text = readFileSync(join(suite, 'requirements', `${revision}.yaml`), 'utf8');
  const { server, not_scored }: Requirements = parse(text);
  const pending = not_scored.filter(({ leg, reason }) => leg === 'server' && reason !== 'extension');
  return [...server, ...pending.map(({ scenario }) => scenario)];
}

/** Scenarios, and the failing checks of all of them as `scenario:check`. */
async function runSuite(revision: string): Promise<{ ran: Set<string>; failed: Set<string> }> {
  const results = join(folder, revision);
  const args = ['server', '--url', `${gateway.url}/frame/mcp`, '--requirements', revision, '--output-dir', results];
  // Its exit code knows nothing of our baseline.
  await new Promise(resolve => execFile(process.execPath, [join(suite, 'dist/index.js'), ...args], resolve));
  const ran = new Set<string>();
  const failed = new Set<string>();
  for (const file of globSync('*/checks.json', { cwd: results })) {
    const scenario = dirname(file).replace(/^server-(.*)-\d{4}-\d\d-\d\dT.*$/, '$1');
    const checks: { id: string; status: string }[] = JSON.parse(await readFile(join(results, file), 'utf8'));
    ran.add(scenario);
    for (const { id, status } of checks) if (status === 'FAILURE') failed.add(`${scenario}:${id}`);
  }
  return { ran, failed };
}
