import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openApi } from '../../src/rest/openapi.ts';
import { createDoor } from '../../src/tools/call-tool.ts';
import { CATALOGUE } from '../../src/tools/catalogue.ts';
import { fakeMeans } from '../tools/fixture.ts';

/** The document as clients are generated from it: of the real catalogue, and true to what calls look like. */
const door = createDoor({
  catalogue: CATALOGUE,
  means: fakeMeans(),
  findPlace: () => undefined,
  takeRate: async () => {},
  callSeconds: 60,
  observe: () => {},
});

const document = openApi(door.all, { origin: 'https://axe.example', release: 'r1' });
const { get } = document.paths['/api/tools'];
const { post } = document.paths['/api/tool'];
const request = z.fromJSONSchema(post.requestBody.content['application/json'].schema);
const answer = z.fromJSONSchema(post.responses[200].content['application/json'].schema);
const failure = z.fromJSONSchema(post.responses['4XX'].content['application/json'].schema);

test('says where, in which version, and how one is known', () => {
  expect(document).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'Frame', version: 'r1', description: expect.any(String) },
    servers: [{ url: 'https://axe.example' }],
    security: [{ key: [] }, { token: [] }, { key: [], token: [] }],
    components: {
      securitySchemes: {
        key: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        token: { type: 'http', scheme: 'bearer' },
      },
    },
  });
  expect([get.operationId, post.operationId]).toEqual(['listTools', 'callTool']);
  // A reference into nowhere is the usual way for such a document to be wrong.
  expect(JSON.stringify(document)).not.toContain('$ref');
});

describe('a request', () => {
  test.each<[string, unknown]>([
    ['of a tool without params', { tool: 'get_context' }],
    [
      'of rows',
      { tool: 'select_rows', params: { table: 'a', where: { b: { in: [1] }, or: [{ c: null }] }, limit: 5 } },
    ],
    ['with a place', { tool: 'run_sql', params: { entity: 'axe', environment: 'dev', sql: 'select 1' } }],
    ['of a change', { tool: 'plan_change', params: { changes: [{ drop_table: { name: 'a' } }] } }],
  ])('%s is one', (_, body) => {
    expect(request.safeParse(body).success).toBe(true);
  });

  test.each<[string, unknown]>([
    ['without a tool', { params: {} }],
    ['of a tool that there is not', { tool: 'drop_everything', params: {} }],
    ['without the params that a tool needs', { tool: 'select_rows' }],
    ['without one of them', { tool: 'select_rows', params: { limit: 5 } }],
    ['with a param that there is not', { tool: 'run_sql', params: { sql: 'select 1', query: 'select 1' } }],
    ['with a place where there is none', { tool: 'get_context', params: { entity: 'axe' } }],
    ['with an environment that there is not', { tool: 'run_sql', params: { sql: 'select 1', environment: 'test' } }],
    ['with more than one may ask for', { tool: 'select_rows', params: { table: 'a', limit: 501 } }],
    ['with a word more', { tool: 'get_context', arguments: {} }],
  ])('%s is none', (_, body) => {
    expect(request.safeParse(body).success).toBe(false);
  });
});

test('an answer names its tool, and a refusal its code', () => {
  const found = { success: true, tool: 'run_sql', result: { columns: ['a'], rows: [[1]], truncated: false } };
  expect(answer.safeParse(found).success).toBe(true);
  expect(answer.safeParse({ ...found, tool: 'nothing' }).success).toBe(false);
  expect(answer.safeParse({ ...found, success: false }).success).toBe(false);
  const refused = { success: false, error: 'There is no table `a`.', code: 'table/not-found' };
  expect(failure.safeParse(refused).success).toBe(true);
  expect(failure.safeParse({ ...refused, code: undefined }).success).toBe(false);
});

test('names every tool once, and nobody’s entities', () => {
  const { oneOf } = post.requestBody.content['application/json'].schema as {
    oneOf: { properties: { tool: { const: string } } }[];
  };
  expect(oneOf.map(({ properties }) => properties.tool.const)).toEqual(CATALOGUE.map(({ name }) => name));
});
