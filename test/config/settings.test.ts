import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_GATEWAY_CONFIG, parseGatewayConfig } from '../../src/config/gateway-config.ts';
import { leastRoleFor, parseRoles, rightsOf } from '../../src/config/roles.ts';
import { inspectSettings, readSettings } from '../../src/config/settings.ts';
import { WrongConfiguration } from '../../src/errors.ts';
import type { ResultLimits } from '../../src/tools/tool.ts';

const shipped = join(import.meta.dirname, '../../config');
const TOOLS: ReadonlySet<string> = new Set([
  'get_context',
  'describe_tables',
  'select_rows',
  'run_sql',
  'insert_rows',
  'update_rows',
  'delete_rows',
  'plan_change',
  'apply_change',
  'search_audit',
]);

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'frame-settings-'));
  await cp(shipped, join(root, 'config'), { recursive: true });
});

afterEach(() => rm(root, { recursive: true, force: true }));

const read = (env: NodeJS.ProcessEnv = {}) => readSettings(env, {}, root, { toolNames: TOOLS, root });

describe('settings', () => {
  test('the files that ship are right as they stand', async () => {
    const settings = await read();
    expect(settings).toMatchObject({ release: 'dev', logLevel: 'info', customersFile: join(root, 'customers.yaml') });
    expect([...settings.roles.keys()]).toEqual(['admin', 'dev', 'editor', 'view']);
  });

  test('the release stands in release.json', async () => {
    await writeFile(join(root, 'release.json'), '{ "release": "2026-11-20.3-a1b2c3d", "built": "today" }');
    expect((await read()).release).toBe('2026-11-20.3-a1b2c3d');
  });

  test.each([
    ['{}', '1:1  `release` is missing'],
    ['{ "release": 3 }', '1:14  `release` must be text'],
    ['{ "release": "a\\nb" }', '1:14  `'],
    ['', '1:1  the file is empty'],
  ])('release.json of %s is a mistake', async (text, mistake) => {
    await writeFile(join(root, 'release.json'), text);
    await expect(read()).rejects.toThrow(`release.json:${mistake}`);
  });

  test('mistakes of the environment and of every file come at once', async () => {
    await writeFile(join(root, 'config/gateway.yaml'), 'results:\n  max_row: 7\n');
    await writeFile(join(root, 'config/roles.yaml'), 'roles:\n  view: { tools: [selct_rows] }\n');
    await writeFile(join(root, 'release.json'), '{');
    const failure = await read({ FRAME_SLOT: 'red' }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(WrongConfiguration);
    expect(failure).toMatchObject({
      mistakes: [
        { file: 'FRAME_SLOT' },
        { file: join(root, 'config/gateway.yaml'), line: 2, column: 3 },
        { file: join(root, 'config/roles.yaml'), line: 2, column: 19 },
        { file: join(root, 'release.json'), line: 1 },
      ],
    });
  });

  test('a folder without the files is a mistake, not the defaults', async () => {
    await expect(read({ FRAME_CONFIG: 'nowhere' })).rejects.toThrow(
      /gateway\.yaml {2}there is no such file\n.*roles\.yaml/,
    );
  });

  test('an inspection goes on with defaults where something is wrong', async () => {
    await writeFile(join(root, 'config/gateway.yaml'), '');
    await rm(join(root, 'config/roles.yaml'));
    const { settings, mistakes } = await inspectSettings({ FRAME_LISTEN: 'x' }, {}, root, { root });
    expect(mistakes).toHaveLength(3);
    expect(settings).toMatchObject({ listen: { port: 3710 }, gateway: DEFAULT_GATEWAY_CONFIG, roles: new Map() });
  });
});

describe('gateway.yaml', () => {
  const mistakesIn = (text: string) => {
    const parsed = parseGatewayConfig('gateway.yaml', text);
    return 'mistakes' in parsed
      ? parsed.mistakes.map(({ line, column, sentence }) => `${line}:${column} ${sentence}`)
      : [];
  };

  test('the file that ships holds every number, and each is the default', async () => {
    const text = await readFile(join(shipped, 'gateway.yaml'), 'utf8');
    expect(parseGatewayConfig('gateway.yaml', text)).toEqual({ value: DEFAULT_GATEWAY_CONFIG });
    const numbers = Object.values(DEFAULT_GATEWAY_CONFIG).flatMap(section => Object.keys(section));
    expect(text.match(/^ {2}[a-z_]+: \d+ +# /gm)).toHaveLength(numbers.length);
  });

  test('tools find their limits in it', () => {
    const limits: ResultLimits = DEFAULT_GATEWAY_CONFIG.results;
    expect(limits.maxResultBytes).toBe(400_000);
  });

  test('one number may be given alone', () => {
    expect(parseGatewayConfig('gateway.yaml', 'pools: { idle_seconds: 5 }')).toMatchObject({
      value: { pools: { idleSeconds: 5, total: 60 }, http: { drainSeconds: 25 } },
    });
    expect(parseGatewayConfig('gateway.yaml', '{}')).toEqual({ value: DEFAULT_GATEWAY_CONFIG });
  });

  test.each([
    ['pols: {}\n', '1:1 unknown key `pols`; did you mean `pools`?'],
    ['http:\n  drain: 5\n', '2:3 unknown key `drain`; did you mean `drain_seconds`?'],
    ['http:\n', '1:1 `http` must be keys with values, but nothing stands here'],
    ['http: 5\n', '1:7 `http` must be keys with values, not a number'],
    ['calls: { timeout_seconds: "60" }\n', '1:27 `timeout_seconds` must be a number, not text'],
    ['calls: { timeout_seconds: 101 }\n', '1:27 `timeout_seconds` must be at most 100'],
    ['calls: { timeout_seconds: 0 }\n', '1:27 `timeout_seconds` must be at least 1'],
    ['pools: { rw: -1 }\n', '1:14 `rw` must be at least 1'],
    ['pools: { rw: 1.5 }\n', '1:14 `rw` must be a whole number'],
    ['pools: { rw: .inf }\n', '1:14 `rw` must be a'],
    ['pools: { rw: 70 }\n', '1:8 `pools` must have a total of at least own, rw and ro'],
    ['sql: { per_place: 20 }\n', '1:6 `sql` must have a total of at least per_place'],
    ['results: { default_rows: 501 }\n', '1:10 `results` must have a default_rows of at most max_rows'],
    ['# nothing\n', '1:1 the file is empty'],
  ])('%j', (text, mistake) => {
    expect(mistakesIn(text)).toEqual([expect.stringContaining(mistake)]);
  });
});

describe('roles.yaml', () => {
  const mistakesIn = (text: string, toolNames: ReadonlySet<string> | undefined = TOOLS) => {
    const parsed = parseRoles('roles.yaml', text, toolNames);
    return 'mistakes' in parsed
      ? parsed.mistakes.map(({ line, column, sentence }) => `${line}:${column} ${sentence}`)
      : [];
  };

  test('the roles that ship are those of the contract, each with all of the one below', async () => {
    const parsed = parseRoles('roles.yaml', await readFile(join(shipped, 'roles.yaml'), 'utf8'), TOOLS);
    if ('mistakes' in parsed) throw new Error('wrong');
    const view = ['get_context', 'describe_tables', 'select_rows', 'run_sql'];
    const editor = [...view, 'insert_rows', 'update_rows', 'delete_rows'];
    expect(parsed.value).toEqual(
      new Map([
        ['admin', new Set(['*', 'pii:read'])],
        ['dev', new Set([...editor, 'plan_change', 'apply_change'])],
        ['editor', new Set(editor)],
        ['view', new Set(view)],
      ]),
    );
  });

  test.each([
    ['roles: {}\n', '1:8 `roles` must not be empty'],
    ['roles:\n', '1:1 `roles` must be keys with values'],
    ['roles: { View: { tools: ["*"] } }\n', '1:10 `View` must be a name of'],
    ['roles: { view: { tools: [] } }\n', '1:25 `tools` must not be empty'],
    ['roles: { view: { tool: ["*"] } }\n', '1:18 unknown key `tool`; did you mean `tools`?'],
    ['roles: { view: [select_rows] }\n', '1:16 `view` must be keys with values, not a list'],
    ['roles: { view: { tools: select_rows } }\n', '1:25 `tools` must be a list, not text'],
    ['roles: { view: { tools: [select_rows, select_rows] } }\n', '1:25 `tools` must name each tool once'],
    ['roles: { view: { tools: [selectrows] } }\n', '1:26 there is no tool `selectrows`; did you mean `select_rows`?'],
    ['roles: { view: { tools: [toString] } }\n', '1:26 there is no tool `toString`'],
    ['roles: { view: { tools: ["*"] }, view: { tools: ["*"] } }\n', '1:34 the key `view` stands here a second time'],
  ])('%j', (text, mistake) => {
    expect(mistakesIn(text)).toContainEqual(expect.stringContaining(mistake));
  });

  test('a wrong role does not hide a wrong tool of another', () => {
    expect(mistakesIn('roles: { a: 7, b: { tools: [selct_rows] } }')).toHaveLength(2);
  });

  test('a right stands among the tools, and only one that there is', () => {
    expect(mistakesIn('roles: { view: { tools: [select_rows, pii:read] } }')).toEqual([]);
    expect(mistakesIn('roles: { view: { tools: [pii:reed] } }')).toEqual([
      '1:26 there is no tool `pii:reed`; did you mean `pii:read`?',
    ]);
  });

  test('every tool is no right: * reads masks', () => {
    expect(rightsOf(new Set(['*']))).toEqual(new Set());
    expect(rightsOf(new Set(['*', 'pii:read']))).toEqual(new Set(['pii:read']));
  });

  test('the least role for a tool that needs a right is one that has it', () => {
    const parsed = parseRoles(
      'roles.yaml',
      'roles: { a: { tools: [reveal] }, b: { tools: ["*"] }, c: { tools: ["*", pii:read] } }',
    );
    if ('mistakes' in parsed) throw new Error('wrong');
    expect(leastRoleFor(parsed.value, 'reveal')).toBe('a');
    expect(leastRoleFor(parsed.value, 'reveal', 'pii:read')).toBe('c');
  });

  test('tools are left alone when nobody knows them', () => {
    expect(parseRoles('roles.yaml', 'roles: { a: { tools: [anything] } }')).toHaveProperty('value');
  });
});
