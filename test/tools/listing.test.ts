import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Caller } from '../../src/access/caller.ts';
import { withinScopes } from '../../src/access/rights.ts';
import { parseRoles, rightsOf } from '../../src/config/roles.ts';
import { createDoor } from '../../src/tools/call-tool.ts';
import { CATALOGUE, TOOL_NAMES } from '../../src/tools/catalogue.ts';
import { callerOf, entity, fakeMeans } from './fixture.ts';

const file = join(import.meta.dirname, '../../config/roles.yaml');
const roles = parseRoles(file, readFileSync(file, 'utf8'), TOOL_NAMES);
if (!('value' in roles)) throw new Error('roles.yaml is wrong');

const door = createDoor({
  catalogue: CATALOGUE,
  means: fakeMeans(),
  findPlace: () => undefined,
  takeRate: async () => {},
  callSeconds: 60,
  observe: () => {},
});

/** As wide as it gets: a dozen entities with long names, in every environment. */
const WIDE = Array.from({ length: 12 }, (_, i) =>
  entity(
    `entity-with-a-name-of-31-chars-${i % 10}`.slice(0, 29) + String(i).padStart(2, '0'),
    'prod',
    'staging',
    'dev',
  ),
);
const SHAPES = {
  narrow: [entity('axe', 'prod')],
  'two environments': [entity('axe', 'prod', 'dev')],
  'two entities': [entity('axe', 'prod'), entity('studio', 'prod')],
  'without prod': [entity('axe', 'staging', 'dev')],
  wide: WIDE,
};

describe.each([...roles.value])('%s', (_, tools) => {
  test.each(Object.entries(SHAPES))('%s: at most 20 tools and 16,000 characters', (_, entities) => {
    const listings = door.list(callerOf(entities, tools));
    expect(listings.length).toBeLessThanOrEqual(20);
    expect(JSON.stringify(listings).length).toBeLessThanOrEqual(16_000);
  });

  test('lists what the role may call, in the order of the catalogue, and the same object again', () => {
    const caller = callerOf(WIDE, tools);
    const names = CATALOGUE.map(({ name }) => name).filter(name => tools.has('*') || tools.has(name));
    expect(door.list(caller).map(({ name }) => name)).toEqual(names);
    expect(door.list(callerOf(WIDE, new Set([...tools].reverse())))).toBe(door.list(caller));
  });
});

/**
 * What each role is told about the tools. Text that a model reads is part of what people agreed to: a change of it is a
 * change of ours, seen in review, and never one of data.
 */
describe('what a role is told', () => {
  const hashOf = (caller: Caller) => hash('sha256', JSON.stringify(door.list(caller)), 'base64url');
  const everybody = [...roles.value].flatMap(([role, tools]) =>
    Object.entries(SHAPES).map(([shape, entities]) => ({ role, shape, tools, entities })),
  );

  test.each(everybody)('$role, $shape', ({ role, shape, tools, entities }) => {
    const caller = { ...callerOf(entities, tools), rights: rightsOf(tools) };
    const reader = { ...caller, ...withinScopes(tools, ['frame:read'], CATALOGUE) };
    expect({ role, shape, all: hashOf(caller), read: hashOf(reader) }).toMatchSnapshot();
  });
});

test('documents about no caller show the place as everybody may give it', () => {
  for (const { name, inputSchema } of door.all) {
    const { entity, environment } = inputSchema.properties as Record<string, unknown>;
    const atPlace = CATALOGUE.find(tool => tool.name === name)?.atPlace;
    expect([name, entity, environment]).toEqual([
      name,
      atPlace ? expect.objectContaining({ type: 'string' }) : undefined,
      atPlace ? expect.objectContaining({ enum: ['prod', 'staging', 'dev'] }) : undefined,
    ]);
    expect(inputSchema.required ?? []).not.toContain('entity');
    expect(JSON.stringify(inputSchema)).not.toContain('axe');
  }
});

describe('every tool', () => {
  const listings = door.list(callerOf([entity('axe', 'prod')]));

  test.each(listings.map(listing => [listing.name, listing] as const))(
    '%s is fit for a model',
    (name, { title, description, inputSchema, outputSchema, annotations }) => {
      expect(name).toMatch(/^[a-z_]{3,40}$/);
      expect(description.length).toBeLessThanOrEqual(200);
      expect([inputSchema.type, inputSchema.additionalProperties, outputSchema.type]).toEqual([
        'object',
        false,
        'object',
      ]);
      expect(annotations).toMatchObject({ title, openWorldHint: false });
      // Errors are objects of another shape, and 2025 clients hold them against the same schema.
      expect(outputSchema).not.toHaveProperty('required');
      expect(JSON.stringify(inputSchema)).not.toContain('$schema');
    },
  );

  test('says what it does to the world (contract §4)', () => {
    const kinds = listings.map(({ name, annotations: { readOnlyHint, destructiveHint } }) => [
      name,
      readOnlyHint ? 'read' : destructiveHint ? 'destructive' : 'write',
    ]);
    expect(Object.fromEntries(kinds)).toEqual({
      get_context: 'read',
      describe_tables: 'read',
      select_rows: 'read',
      run_sql: 'read',
      reveal: 'read',
      insert_rows: 'write',
      update_rows: 'destructive',
      delete_rows: 'destructive',
      plan_change: 'read',
      apply_change: 'destructive',
      search_audit: 'read',
    });
  });

  test('holds no text of a company but the ids of the caller’s own entities', () => {
    const text = JSON.stringify(door.list(callerOf([entity('zebra', 'prod'), entity('quagga', 'prod')])));
    expect(text).toContain('["zebra","quagga"]');
    for (const foreign of ['Name of', 'AXE', 'Tanaka', 'axe.example', 'tenant']) expect(text).not.toContain(foreign);
  });

  test('asks for the place where it has one, and nowhere else', () => {
    for (const { name, inputSchema } of door.list(callerOf([entity('a', 'prod', 'dev'), entity('b', 'prod')]))) {
      const atPlace = CATALOGUE.find(tool => tool.name === name)?.atPlace;
      const properties = Object.keys(inputSchema.properties ?? {});
      expect([name, properties.includes('entity'), properties.includes('environment')]).toEqual([
        name,
        atPlace,
        atPlace,
      ]);
      if (atPlace) expect(inputSchema.required).toContain('entity');
    }
  });
});
