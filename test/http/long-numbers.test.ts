import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCompanies, customersYaml, PEOPLE } from '../e2e/companies.ts';
import { ask, change, objectOf, post, type Row, type Seat, use } from '../e2e/wire.ts';
import { type FrameHome, makeFrameHome } from '../support/frame-process.ts';

/** Numbers of 64 bits and more as clients write them: at a real gateway, in a real table. */
const entra = createCompanies();
let home: FrameHome;
let seat: Seat;

beforeAll(async () => {
  home = await makeFrameHome(customersYaml(await entra.listen('127.0.0.1', 0)));
  const { port } = await home.serve();
  const { host, username } = PEOPLE.admin;
  seat = { port, host, token: await entra.mint(username) };
  const columns = ['bigint', 'numeric', 'integer', 'json'].map(type => ({ name: `a_${type}`, type }));
  await change(seat, [{ create_table: { name: 'measures', columns } }], { entity: 'axe' });
});

afterAll(async () => {
  await home?.remove();
  await entra.close();
});

const BIG = '9223372036854775807';
const LONG = '12345678901234567891.00000000000000000001';

/** `args`: JSON, written by hand. */
async function overMcp(tool: string, args: string): Promise<Row> {
  const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${tool}","arguments":${args}}}`;
  const reply = await post(seat, body);
  expect(reply.status).toBe(200);
  return (objectOf(reply).result as { structuredContent: Row }).structuredContent;
}

async function overHttp(tool: string, params: string): Promise<Row> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${seat.token}` };
  const body = `{"tool":"${tool}","params":${params}}`;
  return objectOf(await ask(seat.port, '/api/tool', { method: 'POST', host: seat.host, headers, body }));
}

test('they arrive as they were written, are found again, and come back as texts', async () => {
  const row = `{"a_bigint":${BIG},"a_numeric":${LONG}}`;
  await overMcp('insert_rows', `{"entity":"axe","table":"measures","rows":[${row}]}`);
  const rows = [[BIG, LONG]];
  const asked = '"entity":"axe","table":"measures","columns":["a_bigint","a_numeric"]';
  for (const where of [
    `{"a_bigint":${BIG}}`,
    `{"a_bigint":[1,${BIG}]}`,
    `{"a_bigint":{"gt":9223372036854775806}}`,
    `{"and":[{"a_numeric":${LONG}}]}`,
  ]) {
    expect(await overMcp('select_rows', `{${asked},"where":${where}}`)).toMatchObject({ rows });
    expect(await overHttp('select_rows', `{${asked},"where":${where}}`)).toMatchObject({ result: { rows } });
  }
  await overMcp('insert_rows', `{"entity":"axe","table":"measures","rows":[{"a_json":{"n":[${LONG}]}}]}`);
  const stored = '{"entity":"axe","table":"measures","columns":["a_json"],"where":{"a_bigint":null}}';
  expect(await overMcp('select_rows', stored)).toMatchObject({ rows: [[{ n: [LONG] }]] });
  // The next number, which a double could not tell from it.
  expect(await overMcp('select_rows', `{${asked},"where":{"a_bigint":9223372036854775806}}`)).toMatchObject({
    rows: [],
  });
});

describe('where they do not fit, the tool says so, and the call is recorded', () => {
  test.each([
    ['an integer', `{"a_integer":${BIG}}`, 'row/bad-value'],
    ['65 bits', '{"a_bigint":18446744073709551616}', 'row/bad-value'],
    ['a fraction in a bigint', '{"a_bigint":1.00000000000000000001}', 'row/bad-value'],
  ])('%s', async (_, where, code) => {
    const args = `{"entity":"axe","table":"measures","where":${where}}`;
    expect(await overMcp('select_rows', args)).toMatchObject({ code });
    expect(await overHttp('select_rows', args)).toMatchObject({ code });
    const { entries } = await use(seat, 'search_audit', { tool: 'select_rows', outcome: 'refused' });
    expect(entries).toContainEqual(expect.objectContaining({ code }));
  });

  test('as an argument that takes a small number', async () => {
    const args = `{"entity":"axe","table":"measures","limit":${BIG}}`;
    expect(await overMcp('select_rows', args)).toMatchObject({
      code: 'args/invalid',
      message: '`limit` must be a number, not a text.',
    });
  });
});

test('an id that no answer could repeat is still refused before any work', async () => {
  const reply = await post(seat, `{"jsonrpc":"2.0","id":${BIG},"method":"tools/list"}`);
  expect([reply.status, objectOf(reply).code]).toEqual([400, 'args/malformed']);
});
