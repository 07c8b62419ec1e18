import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  DEFAULT_DEPLOY_CONFIG,
  type Hosted,
  parseDeployConfig,
  readDeployConfig,
} from '../../src/config/deploy-config.ts';

const shipped = join(import.meta.dirname, '../../config');
const customers: Hosted = [
  { id: 'axe', host: 'axe-macmini' },
  { id: 'nordwind', host: undefined },
];

function mistakesIn(text: string, known?: Hosted): string[] {
  const parsed = parseDeployConfig('deploy.yaml', text, known);
  return 'mistakes' in parsed
    ? parsed.mistakes.map(({ line, column, sentence }) => `${line}:${column} ${sentence}`)
    : [];
}

test('the file that ships holds every value, and each is the default', async () => {
  const text = await readFile(join(shipped, 'deploy.yaml'), 'utf8');
  expect(parseDeployConfig('deploy.yaml', text)).toEqual({ value: DEFAULT_DEPLOY_CONFIG });
  const values = Object.values(DEFAULT_DEPLOY_CONFIG).flatMap(value =>
    typeof value === 'object' ? Object.values(value) : [value],
  );
  expect(text.match(/^ *[a-z_]+: \S+ +# /gm)).toHaveLength(values.length);
  expect(text).toMatch(/^# canary: /m);
});

test('one value may be given alone', () => {
  const parsed = parseDeployConfig('deploy.yaml', 'watch: { seconds: 600, latency_factor: 1.5 }\nhome: /srv/frame', []);
  expect(parsed).toMatchObject({
    value: { home: '/srv/frame', batch: 3, watch: { seconds: 600, latencyFactor: 1.5, errorPoints: 2 } },
  });
});

describe('mistakes stand where they were made', () => {
  test.each([
    ['wach: {}\n', '1:1 unknown key `wach`; did you mean `watch`?'],
    ['watch:\n  second: 5\n', '2:3 unknown key `second`; did you mean `seconds`?'],
    ['watch: { seconds: 601 }\n', '1:19 `seconds` must be at most 600'],
    ['watch: { latency_factor: 0.5 }\n', '1:26 `latency_factor` must be at least 1'],
    ['gate: { answers: 0 }\n', '1:18 `answers` must be at least 1'],
    ['gate: { seconds: 0.5 }\n', '1:18 `seconds` must be a whole number, not a number'],
    ['batch: 0\n', '1:8 `batch` must be at least 1'],
    ['batch: "3"\n', '1:8 `batch` must be a number, not text'],
    ['keep_releases: 0\n', '1:16 `keep_releases` must be at least 1'],
    ['steps:\n', '1:1 `steps` must be keys with values, but nothing stands here'],
    ['home: ""\n', '1:7 `home` must be the path of a folder'],
    ['home: "a\\tb"\n', '1:7 `a\tb` must be the path of a folder'],
    [
      'home: ~/frame\n',
      '1:7 `~/frame` must not begin with ~ or -; what is no full path begins in the folder of the login',
    ],
    ['home: -rf\n', '1:7 `-rf` must not begin with ~ or -; what is no full path begins in the folder of the login'],
    ['home: /srv/{host}\n', '1:7 `/srv/{host}` may hold {customer} between braces, and nothing else'],
    ['canary: 5\n', '1:9 `canary` must be text; put it in quotes'],
    ['', '1:1 the file is empty'],
  ])('%j', (text, mistake) => expect(mistakesIn(text)).toEqual([mistake]));
});

test.each(['/srv/{customer}/frame', "it's $(here) and there", 'frame'])('home may be %s', home => {
  expect(mistakesIn(`home: ${JSON.stringify(home)}`)).toEqual([]);
});

describe('the canary', () => {
  test('is a customer with a host', () => {
    expect(mistakesIn('canary: axe', customers)).toEqual([]);
    expect(mistakesIn('canary: ax', customers)).toEqual([
      '1:9 customers.yaml has no customer `ax`; did you mean `axe`?',
    ]);
    expect(mistakesIn('canary: nordwind', customers)).toEqual(['1:9 `nordwind` has no host in customers.yaml']);
  });

  test('is not checked while customers.yaml cannot be read', () => {
    expect(mistakesIn('canary: whoever')).toEqual([]);
  });
});

describe('reading', () => {
  test('a missing file is all its defaults', async () => {
    await using folder = await makeFolder();
    await rm(join(folder.path, 'deploy.yaml'));
    expect(await readDeployConfig(folder.path)).toEqual(DEFAULT_DEPLOY_CONFIG);
  });

  test('a file that is wrong is refused as a whole', async () => {
    await using folder = await makeFolder();
    await writeFile(join(folder.path, 'deploy.yaml'), 'batch: 2\nbath: 3\n');
    await expect(readDeployConfig(folder.path)).rejects.toThrow(
      'deploy.yaml:2:1  unknown key `bath`; did you mean `batch`?',
    );
    await writeFile(join(folder.path, 'deploy.yaml'), Buffer.from([0xff, 0xfe]));
    await expect(readDeployConfig(folder.path)).rejects.toThrow('deploy.yaml  the file is not UTF-8 text');
  });
});

async function makeFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'frame-deploy-config-'));
  await cp(shipped, path, { recursive: true });
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
