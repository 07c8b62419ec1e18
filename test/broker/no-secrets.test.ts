import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAccessTokens } from '../../src/access/access-token.ts';
import { createGrants } from '../../src/broker/grants.ts';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import { quoteName } from '../../src/database/quote.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import type { Observation } from '../../src/observe.ts';
import {
  codeForm,
  GRANT,
  openTestBroker,
  post,
  refreshForm,
  SITE,
  type TestBroker,
  VERIFIER,
} from './grants-fixture.ts';

let broker: TestBroker;
let root: OwnerConnection;

beforeAll(async () => {
  broker = await openTestBroker();
  root = await broker.database.connectAsRoot();
});
afterAll(() => broker.close());

/** Every row of every table, and of what Postgres counts about them. */
async function dump(): Promise<string> {
  const { rows: tables } = await root.query(
    "select table_schema, table_name from information_schema.tables where table_schema in ('frame', 'audit')",
  );
  const texts: string[] = [];
  for (const [schema, table] of tables) {
    const name = `${quoteName(String(schema))}.${quoteName(String(table))}`;
    const { rows } = await root.query(`select row_to_json(t)::text from ${name} as t`);
    texts.push(...rows.map(([row]) => `${name} ${row}`));
  }
  await root.query('analyze');
  const { rows: samples } = await root.query('select row_to_json(s)::text from pg_stats s');
  return [...texts, ...samples.map(([row]) => String(row))].join('\n');
}

async function readServerLog(): Promise<string> {
  const { rows } = await root.query('show data_directory');
  return readFile(join(dirname(String(rows[0]?.[0])), 'postgres.log'), 'utf8');
}

test('whoever has the database, its log and ours has nothing to sign in with', async () => {
  // An operator who looks for something turns all of it on.
  await root.script(`alter role frame_control set log_statement = 'all';
    alter role frame_control set log_parameter_max_length = -1; alter role frame_audit set log_statement = 'all';
    alter role frame_audit set log_parameter_max_length = -1;`);
  const { database } = broker;
  const observed: Observation[] = [];
  const log = database.openLog();
  const pools = database.openPools();
  const parts = { pools, now: () => database.clock.now, observe: (one: Observation) => void observed.push(one) };
  const grants = createGrants({
    ...parts,
    clients: { touch() {}, isGone: async () => false },
    audit: log,
    limits: DEFAULT_GATEWAY_CONFIG.signIn,
  });
  const tokens = await createAccessTokens({ ...parts, limits: { rememberTokens: 10 } });

  const given: string[] = [VERIFIER];
  const keep = <T>(secret: T) => {
    given.push(String(secret));
    return secret;
  };
  const code = keep(await grants.issueCode(GRANT));
  const unused = keep(await grants.issueCode(GRANT));
  const first = await post(grants.token, codeForm(code));
  const second = await post(grants.token, refreshForm(keep(first.json.refresh_token)));
  await post(grants.token, refreshForm(first.json.refresh_token));
  const at = { ...SITE, from: '127.0.0.1' };
  for (const { json } of [first, second]) await tokens.find(String(keep(json.access_token)), at);
  await post(grants.token, refreshForm(keep(second.json.refresh_token), { client_id: 'client-2' }));
  await post(grants.token, codeForm(unused, { code_verifier: keep('wrong-verifier-'.repeat(4)) }));
  await post(grants.revoke, { token: String(first.json.access_token) });
  await post(grants.token, codeForm(code));
  await tokens.find(String(second.json.access_token), at);
  await log.close();
  await tokens.close();

  const everything = [await dump(), await readServerLog(), JSON.stringify([observed, database.observations])].join(
    '\n',
  );
  expect(everything).toContain('frame.oauth_tokens');
  expect(everything).toMatch(/parameters: \$1 = '/i);
  expect(everything).toContain('"step":"sign_in.refresh"');
  expect(everything).toContain('sign_in.token');
  // Neither as they are, nor without their names, nor as bytes.
  for (const secret of given) {
    const core = secret.replace(/^frame_.._/, '');
    for (const form of [core, Buffer.from(core, 'base64url').toString('hex'), Buffer.from(secret).toString('hex')]) {
      expect(everything.includes(form), `${secret} as ${form}`).toBe(false);
    }
  }
  expect(everything).not.toMatch(/frame_(at|rt|ac)_[\w-]{20}/);
});
