import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Flags, readVariables } from '../../src/config/variables.ts';

function mistakesOf(env: NodeJS.ProcessEnv, flags: Flags = {}): string[] {
  return readVariables(env, flags, '/app').mistakes.map(({ file, sentence }) => `${file}: ${sentence}`);
}

test('everything has a default', () => {
  expect(readVariables({ PATH: '/bin' }, {}, '/app')).toEqual({
    mistakes: [],
    variables: {
      configFolder: join(import.meta.dirname, '../../config'),
      customersFile: '/app/customers.yaml',
      customer: undefined,
      databaseUrl: undefined,
      dataFolder: '/app/.frame',
      listen: { host: '127.0.0.1', port: 3710 },
      origin: undefined,
      masterKeyFile: '/app/.frame/master.key',
      masterKeyMayBeCreated: true,
      keyFolder: '/app/.frame/keys',
      slot: undefined,
      sshConfigFile: undefined,
      logLevel: 'info',
    },
  });
});

test('a config folder that is here is the one', () => {
  const root = join(import.meta.dirname, '../..');
  expect(readVariables({}, {}, root).variables.configFolder).toBe(join(root, 'config'));
});

test('every variable is read', () => {
  const { variables, mistakes } = readVariables(
    {
      FRAME_CONFIG: 'etc',
      FRAME_CUSTOMERS: '../whom.yaml',
      FRAME_CUSTOMER: 'axe',
      FRAME_DATABASE_URL: 'postgres://me:hush@db.example:3700/postgres',
      FRAME_DATA: '/var/frame',
      FRAME_LISTEN: '[::1]:3711',
      FRAME_ORIGIN: 'https://axe.example',
      FRAME_MASTER_KEY_FILE: 'keys/master',
      FRAME_KEY_FOLDER: 'keys/entities',
      FRAME_SLOT: 'green',
      FRAME_SSH_CONFIG: 'ssh/config',
      FRAME_LOG: 'silent',
    },
    {},
    '/app',
  );
  expect(mistakes).toEqual([]);
  expect(variables.databaseUrl?.reveal()).toContain('hush');
  expect(JSON.stringify(variables)).not.toContain('hush');
  expect(variables).toMatchObject({
    configFolder: '/app/etc',
    customersFile: '/whom.yaml',
    customer: 'axe',
    dataFolder: '/var/frame',
    listen: { host: '::1', port: 3711 },
    origin: 'https://axe.example',
    masterKeyFile: '/app/keys/master',
    keyFolder: '/app/keys/entities',
    masterKeyMayBeCreated: false,
    slot: 'green',
    sshConfigFile: '/app/ssh/config',
    logLevel: 'silent',
  });
});

test('a flag wins, even over a variable that is wrong', () => {
  const { variables, mistakes } = readVariables(
    { FRAME_LISTEN: 'nowhere', FRAME_SLOT: 'blue', FRAME_DATA: 'a' },
    { listen: '127.0.0.1:0', slot: 'green', data: 'b', customer: undefined },
    '/app',
  );
  expect(mistakes).toEqual([]);
  expect(variables).toMatchObject({ listen: { port: 0 }, slot: 'green', masterKeyFile: '/app/b/master.key' });
});

describe('the master key may be created on a first local start only', () => {
  test.each([
    [{}, true],
    [{ FRAME_DATA: 'elsewhere' }, true],
    [{ FRAME_MASTER_KEY_FILE: '.frame/master.key' }, false],
    [{ FRAME_DATABASE_URL: 'postgres://db.example/postgres' }, false],
  ])('%o', (env, may) => {
    expect(readVariables(env, {}, '/app').variables.masterKeyMayBeCreated).toBe(may);
  });
});

describe('what is wrong names the variable and says how to mend it', () => {
  test.each<[NodeJS.ProcessEnv, string]>([
    [{ FRAME_LISTEN: '3710' }, 'FRAME_LISTEN: write host:port'],
    [{ FRAME_LISTEN: ':3710' }, 'FRAME_LISTEN: write host:port'],
    [{ FRAME_LISTEN: '127.0.0.1:99999' }, 'FRAME_LISTEN: write host:port'],
    [{ FRAME_LISTEN: 'http://127.0.0.1:3710' }, 'FRAME_LISTEN: write host:port'],
    [{ FRAME_ORIGIN: 'https://axe.example/' }, 'FRAME_ORIGIN: write scheme, host and port only'],
    [{ FRAME_ORIGIN: 'http://axe.example' }, 'FRAME_ORIGIN: write scheme, host and port only'],
    [{ FRAME_SLOT: 'Blue' }, 'FRAME_SLOT: write blue or green'],
    [{ FRAME_LOG: 'verbose' }, 'FRAME_LOG: write one of debug, info, warn, error, silent'],
    [{ FRAME_CUSTOMER: 'AXE LLC' }, 'FRAME_CUSTOMER: name one customer'],
    [{ FRAME_DATABASE_URL: 'hush.example' }, 'FRAME_DATABASE_URL: write postgres://'],
    [{ FRAME_DATABASE_URL: 'mysql://me:hush@db.example/x' }, 'FRAME_DATABASE_URL: write postgres://'],
    [
      { FRAME_CUSTOMER: '' },
      'FRAME_CUSTOMER: is empty; name one customer of customers.yaml by its id, or leave it out',
    ],
    [{ FRAME_DATABASE_URL: ' ' }, 'FRAME_DATABASE_URL: is empty'],
    [{ FRAME_DATA: '' }, 'FRAME_DATA: is empty; name a folder'],
    [{ FRAME_CUSTOMR: 'axe' }, 'FRAME_CUSTOMR: there is no such variable; did you mean FRAME_CUSTOMER?'],
    [{ FRAME_SSH_CONFIG: '' }, 'FRAME_SSH_CONFIG: is empty; name a file'],
    [{ FRAME_SSH_CONFG: 'x' }, 'FRAME_SSH_CONFG: there is no such variable; did you mean FRAME_SSH_CONFIG?'],
    [{ FRAME_DATABASE: 'x' }, 'FRAME_DATABASE: there is no such variable; did you mean FRAME_DATABASE_URL?'],
  ])('%o', (env, mistake) => {
    const mistakes = mistakesOf(env);
    expect(mistakes).toEqual([expect.stringContaining(mistake)]);
    expect(mistakes.join()).not.toContain('hush');
  });

  test('a wrong flag is called by its own name', () => {
    expect(mistakesOf({}, { slot: 'red', log: '' })).toEqual([
      '--slot: write blue or green',
      '--log: is empty; write one of debug, info, warn, error, silent, or leave it out',
    ]);
  });

  test('all at once', () => {
    expect(mistakesOf({ FRAME_SLOT: 'red', FRAME_LISTEN: 'x', FRAME_LOG: 'x', FRAME_DTA: 'x' })).toHaveLength(4);
  });

  test('variables of others are no concern', () => {
    expect(mistakesOf({ FRAME_AXE_SECRET: 'x', FRAMEWORK: 'x', frame_customer: 'x' })).toEqual([]);
  });
});
