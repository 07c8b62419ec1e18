import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FrameError } from '../../src/errors.ts';
import { runProgram } from '../../src/operator/program.ts';
import { openSsh, type Script, type Ssh, script } from '../../src/operator/ssh.ts';
import { HAS_SSHD, SSHD, type Sshd, startSshd } from '../support/sshd.ts';

/** Every one of them would do something in a shell that got to read it, or would be an option of a program. */
const HOSTILE = [
  'plain',
  "it's",
  'say "hi"',
  '$(touch pwned)',
  '`touch pwned`',
  '; touch pwned;',
  '&& touch pwned',
  '| touch pwned',
  '> pwned',
  '$HOME $PATH $0 $1 $$',
  '-n',
  '--help',
  '-rf *',
  '  two  blanks  ',
  '\ttab',
  '\\ \\n \\\\ \\',
  '!! !$ ^a^b',
  '~ ~root * ? [a-z] {a,b}',
  '# comment',
  'Zoë 公司 🏢 \u202etxt.exe',
  'carriage\rreturn',
  '%C %h %%',
  "'\"'\"'; touch pwned; '",
  '',
];

const SHELLS = ['/bin/sh', '/bin/bash', '/bin/dash', '/usr/bin/zsh', '/usr/bin/fish', '/usr/bin/tcsh'];

describe.skipIf(!HAS_SSHD)(SSHD, () => {
  describe.each(SHELLS)('invariant 24: values arrive literally where the login has %s', shell => {
    const isThere = existsSync(shell);
    let sshd: Sshd;
    let ssh: Ssh;
    let folder: string;

    beforeAll(async () => {
      if (!isThere) return;
      folder = await mkdtemp(join(tmpdir(), 'frame-login-'));
      sshd = await startSshd({ loginShell: shell, loginHome: folder });
      ssh = await openSsh({ destination: 'machine', configFile: sshd.configFile });
    });
    afterAll(async () => {
      if (!isThere) return;
      await ssh[Symbol.asyncDispose]();
      await sshd.close();
      await rm(folder, { recursive: true, force: true });
    });

    test.skipIf(!isThere)(`to a script${isThere ? '' : ' (skipped: it is not here)'}`, async () => {
      const PRINT = script('value', 'other')`printf "%s|%s|" "$value" "$other"`;
      for (const [i, value] of HOSTILE.entries()) {
        const other = HOSTILE.at(-i) ?? '';
        expect((await ssh.run(PRINT, { value, other })).out).toBe(`${value}|${other}|`);
      }
    });

    test.skipIf(!isThere)(`as names of folders${isThere ? '' : ' (skipped: it is not here)'}`, async () => {
      const names = HOSTILE.filter(name => name !== '').map(name => name.replaceAll('/', ':'));
      const MAKE = script('name')`mkdir -p "made/./$name" && cd "made/./$name" && touch inside`;
      for (const name of names) expect(await ssh.run(MAKE, { name })).toMatchObject({ exit: 0, err: '' });
      expect((await readdir(join(folder, 'made'))).sort()).toEqual(names.sort());
      // fish makes hidden folders of its own.
      expect((await readdir(folder)).filter(name => !name.startsWith('.'))).toEqual(['made']);
    });
  });

  describe('a connection', () => {
    let sshd: Sshd;
    beforeAll(async () => {
      sshd = await startSshd({ aliases: ['machine', 'other'], dead: ['dead'] });
    });
    afterAll(() => sshd.close());

    const open = (destination = 'machine', configFile = sshd.configFile) => openSsh({ destination, configFile });

    test('what follows the values is left for the next program, byte by byte', async () => {
      await using ssh = await open();
      const payload = randomBytes(3_000_000);
      const DIGEST = script('one', 'two')`echo "$one$two"; sha256sum`;
      const { out } = await ssh.run(DIGEST, { one: 'a', two: 'b' }, { payload: chunksOf(payload) });
      expect(out).toBe(`ab\n${createHash('sha256').update(payload).digest('hex')}  -\n`);
    });

    test('is made once, and shared', async () => {
      await using ssh = await open();
      const before = sshd.logins();
      for (let i = 0; i < 3; i++) await ssh.run(TRUE, {});
      expect(sshd.logins()).toBe(before + 1);
    });

    test('leaves no process and no folder behind', async () => {
      const ssh = await open();
      await ssh.run(TRUE, {});
      const [begun, seen] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const running = ssh.run(
        script()`echo begun; read -r line`,
        {},
        { payload: until(seen.promise), onLine: () => begun.resolve() },
      );
      await begun.promise;
      const [folder = ''] = /\/tmp\/frame-ssh-\w+/.exec(await processes(sshd.configFile)) ?? [];
      seen.resolve();
      await running;
      expect(await processes(folder)).toContain('[mux]');
      expect((await stat(folder)).mode & 0o777).toBe(0o700);
      await ssh[Symbol.asyncDispose]();
      await expect.poll(() => processes(folder)).toBe('');
      expect(existsSync(folder)).toBe(false);
    });

    test('takes away what a laptop left that was killed, and not what others have there now', async () => {
      const [dead, alive] = await Promise.all([mkdtemp('/tmp/frame-ssh-'), mkdtemp('/tmp/frame-ssh-')]);
      try {
        await utimes(dead, 0, 0);
        await using _ = await open();
        expect([existsSync(dead), existsSync(alive)]).toEqual([false, true]);
      } finally {
        for (const folder of [dead, alive]) await rm(folder, { recursive: true, force: true });
      }
    });

    test('may be closed twice, and before it was used', async () => {
      const ssh = await open();
      await ssh[Symbol.asyncDispose]();
      await ssh[Symbol.asyncDispose]();
    });

    test('exit codes of the other side are passed on, and are no trouble of the connection', async () => {
      await using ssh = await open();
      const END = script('code')`echo said >&2; exit "$code"`;
      for (const code of [0, 1, 2, 20, 75, 254]) {
        expect(await ssh.run(END, { code: `${code}` })).toMatchObject({ exit: code, err: 'said\n' });
      }
    });

    test('a script that takes too long ends as unreachable: nobody knows what came of it', async () => {
      await using ssh = await open();
      const failure = await failureOf(ssh.run(script()`sleep 30`, {}, { timeoutSeconds: 1 }));
      expect(failure.message).toBe('machine did not come to an end within 1 s.');
      expect(failure.hint).toContain('may go on');
    });

    test('a connection that is lost ends as unreachable, and the next script makes a new one', async () => {
      await using ssh = await open();
      const heard = Promise.withResolvers<void>();
      const failure = failureOf(ssh.run(script()`echo begun; sleep 30`, {}, { onLine: () => heard.resolve() }));
      await heard.promise;
      await sshd.drop();
      expect((await failure).message).toMatch(/^machine cannot be reached: /);
      expect(await ssh.run(TRUE, {})).toMatchObject({ exit: 0 });
    });

    test('two destinations at one port are two machines', async () => {
      await using one = await open();
      await using two = await open('other');
      const both = [one.run(TRUE, {}), two.run(TRUE, {})];
      expect(await Promise.all(both)).toMatchObject([{ exit: 0 }, { exit: 0 }]);
    });

    test('invariant 23: a machine that is off is unreachable', async () => {
      await using ssh = await open('dead');
      const failure = await failureOf(ssh.run(TRUE, {}));
      expect(failure.message).toBe(
        'dead cannot be reached: ssh: connect to host 127.0.0.1 port 1: Connection refused.',
      );
      expect(failure.hint).toContain('tailscale status');
    });

    test('invariant 23: so is one that does not exist', async () => {
      await using ssh = await open('no-such-machine.invalid');
      const failure = await failureOf(ssh.run(TRUE, {}));
      expect(failure.message).toContain('Could not resolve hostname no-such-machine.invalid');
      expect(failure.hint).toContain('`host` in customers.yaml');
    });

    test('a destination is never an option of ssh', async () => {
      const proof = join(tmpdir(), `frame-option-${process.pid}`);
      await using ssh = await open(`-oProxyCommand=touch ${proof}`);
      expect(await failureOf(ssh.run(TRUE, {}))).toMatchObject({ code: 'deploy/unreachable' });
      expect(existsSync(proof)).toBe(false);
    });

    test('a value with a line break is refused before anything is sent', async () => {
      await using ssh = await open();
      const before = sshd.logins();
      for (const home of ['frame\nrm -rf', 'frame\0']) {
        const refusal = await ssh.run(script('home')`cd "$home"`, { home }).catch(thrown => thrown);
        expect(refusal).toMatchObject({ code: 'deploy/refused' });
        expect(refusal.message).toContain('home must not have a line break or a NUL');
      }
      expect(sshd.logins()).toBe(before);
    });

    test('a configuration that is not there is said', async () => {
      await using ssh = await open('machine', '/no/such/ssh_config');
      const failure = await failureOf(ssh.run(TRUE, {}));
      expect(failure.message).toContain("Can't open user config file");
      expect(failure.hint).toContain('FRAME_SSH_CONFIG');
    });
  });

  test('invariant 23: a changed host key ends it, with a sentence that says what to check', async () => {
    await using sshd = disposable(await startSshd({ hostKey: 'changed', forceCommand: 'touch pwned' }));
    await using ssh = await openSsh({ destination: 'machine', configFile: sshd.configFile });
    const failure = await failureOf(ssh.run(TRUE, {}));
    expect(failure.message).toBe('machine cannot be reached: Host key verification failed.');
    expect(failure.hint).toContain('ssh-keygen -R machine');
    expect(failure.hint).toContain('somebody may stand in between');
    expect(sshd.logins()).toBe(0);
  });

  test('a host key that nobody has seen is not trusted either', async () => {
    await using sshd = disposable(await startSshd({ hostKey: 'unknown' }));
    await using ssh = await openSsh({ destination: 'machine', configFile: sshd.configFile });
    const { hint } = await failureOf(ssh.run(TRUE, {}));
    // With the configuration that was named: without it, the operator would get elsewhere.
    expect(hint).toContain(`Nobody has met this machine yet: \`ssh -F ${sshd.configFile} machine\` once`);
    expect(sshd.logins()).toBe(0);
  });

  test('a key that is refused is said, and nobody is asked for a password', async () => {
    await using sshd = disposable(await startSshd({ refuseKeys: true }));
    await using ssh = await openSsh({ destination: 'machine', configFile: sshd.configFile });
    const failure = await failureOf(ssh.run(TRUE, {}));
    expect(failure.message).toContain('Permission denied');
    expect(failure.hint).toContain('ssh-add -l');
  });
});

describe('a script', () => {
  test('with a letter that some shell would replace is refused where it is written', () => {
    expect(() => script()`echo 'a'`).toThrow('A login shell would change this text');
    expect(() => script()`echo "\n"`).toThrow('A login shell would change this text');
    expect(() => script()`echo hello!`).toThrow('A login shell would change this text');
  });

  test('is one line, and its text is the same for all values', () => {
    const { text, names } = script('home', 'id')`
      cd "$home" &&
      echo "$id"`;
    expect(names).toEqual(['home', 'id']);
    expect(text).toBe(
      `exec sh -c 'cd || exit; IFS= read -r home || exit 65; IFS= read -r id || exit 65; cd "$home" && echo "$id"'`,
    );
  });

  test('takes no value into its text', () => {
    const value = 'x';
    // @ts-expect-error: a value inside the text
    const { text } = script()`echo "${value}"` satisfies Script<never>;
    expect(text).not.toContain('x"');
  });
});

const TRUE = script()`true`;

async function failureOf(running: Promise<unknown>): Promise<FrameError> {
  const thrown = await running.then(
    () => undefined,
    reason => reason,
  );
  if (!(thrown instanceof FrameError)) throw new Error(`It did not fail as it should: ${thrown}`);
  expect(thrown.code).toBe('deploy/unreachable');
  return thrown;
}

async function* chunksOf(content: Buffer): AsyncIterable<Uint8Array> {
  for (let i = 0; i < content.length; i += 40_000) yield content.subarray(i, i + 40_000);
}

async function* until(moment: Promise<void>): AsyncIterable<Uint8Array> {
  await moment;
  yield Buffer.from('end\n');
}

/** The command lines with these words in them. */
async function processes(words: string): Promise<string> {
  const { out } = await runProgram('ps', ['-eww', '-o', 'args=']);
  return out
    .split('\n')
    .filter(line => line.includes(words))
    .join('\n');
}

function disposable(sshd: Sshd): Sshd & AsyncDisposable {
  return { ...sshd, [Symbol.asyncDispose]: () => sshd.close() };
}
