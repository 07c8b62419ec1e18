import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { choresOfLogs, handOver, wake } from '../../src/operator/agent/chores.ts';
import type { HostFacts } from '../../src/operator/agent/protocol.ts';
import { renderUnits } from '../../src/operator/agent/units.ts';

const run = promisify(execFile);
const ports = { blue: 4710, green: 4711, proxy: 4712 };
const host = (supervisor: HostFacts['supervisor']): HostFacts => ({ customer: 'axe', ports, supervisor });

const HOMES = [
  '/Users/frame/frame',
  '/Users/frame/a & b <c> "d" \'e\'',
  '/home/frame/%h %Q $HOME `id` $(id) \\n \\',
  '/home/früh/雪 ]]> --',
];

describe('launchd', () => {
  test.each(HOMES)('is told everything to the letter: %s', async home => {
    const units = renderUnits({ home, user: 'frame' }, host('launchd'));
    expect(Object.keys(units)).toEqual(['blue', 'green', 'proxy', 'logs'].map(name => `ai.frame.${name}.plist`));
    const daemon = {
      UserName: 'frame',
      ExitTimeOut: 30,
      SoftResourceLimits: { NumberOfFiles: 8192 },
      RunAtLoad: true,
      KeepAlive: true,
      ThrottleInterval: 1,
      ProcessType: 'Interactive',
    };
    expect(readPlist(units['ai.frame.blue.plist'])).toEqual({
      ...daemon,
      Label: 'ai.frame.blue',
      ProgramArguments: ['/bin/sh', `${home}/bin/run-slot`, 'blue', '4710'],
      StandardOutPath: `${home}/log/blue.log`,
      StandardErrorPath: `${home}/log/blue.log`,
    });
    expect(readPlist(units['ai.frame.green.plist'])).toMatchObject({
      ...daemon,
      ProgramArguments: ['/bin/sh', `${home}/bin/run-slot`, 'green', '4711'],
    });
    expect(readPlist(units['ai.frame.proxy.plist'])).toMatchObject({
      ...daemon,
      ProgramArguments: ['/bin/sh', `${home}/bin/run-proxy`, '4710', '4711', '4712'],
    });
  });

  test('rotates logs every hour, and keeps nothing alive for it', () => {
    const logs = readPlist(renderUnits({ home: '/f', user: 'frame' }, host('launchd'))['ai.frame.logs.plist']);
    expect(logs).toMatchObject({ StartInterval: 3600, ProgramArguments: ['/bin/sh', '/f/bin/rotate-logs'] });
    expect(logs).not.toHaveProperty('KeepAlive');
  });

  const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : undefined;
  test.skipIf(!python)('another reader of property lists reads the same', async () => {
    for (const home of HOMES) {
      for (const text of Object.values(renderUnits({ home, user: 'frame' }, host('launchd')))) {
        const child = run(python ?? '', [
          '-c',
          'import plistlib, json, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))',
        ]);
        child.child.stdin?.end(text);
        expect(JSON.parse((await child).stdout)).toEqual(readPlist(text));
      }
    }
  });
});

const ANALYZE = ['/usr/bin/systemd-analyze', '/bin/systemd-analyze'].find(existsSync);

describe('systemd', () => {
  test('keeps the same daemons alive, and has nothing to wait for', () => {
    const units = renderUnits({ home: '/home/frame/frame', user: 'frame' }, host('systemd'));
    expect(Object.keys(units)).toEqual([
      'frame-blue.service',
      'frame-green.service',
      'frame-proxy.service',
      'frame-logs.service',
      'frame-logs.timer',
    ]);
    expect(settingsOf(units['frame-blue.service'])).toMatchObject({
      ExecStart: '/bin/sh /home/frame/frame/bin/run-slot blue 4710',
      User: 'frame',
      Restart: 'always',
      RestartSec: '1',
      StartLimitIntervalSec: '0',
      TimeoutStopSec: '30',
      KillSignal: 'SIGTERM',
      LimitNOFILE: '8192',
      StandardOutput: 'append:/home/frame/frame/log/blue.log',
      WantedBy: 'multi-user.target',
    });
    expect(settingsOf(units['frame-proxy.service'])).toMatchObject({
      ExecStart: '/bin/sh /home/frame/frame/bin/run-proxy 4710 4711 4712',
      Restart: 'always',
    });
    expect(settingsOf(units['frame-logs.service'])).not.toHaveProperty('Restart');
    expect(settingsOf(units['frame-logs.timer'])).toMatchObject({ OnCalendar: 'hourly' });
  });

  test.each(HOMES)('hands its words to the shell as they are: %s', home => {
    const units = renderUnits({ home, user: 'frame' }, host('systemd'));
    const { ExecStart = '', StandardOutput } = settingsOf(units['frame-blue.service']);
    expect(splitExec(ExecStart)).toEqual(['/bin/sh', `${home}/bin/run-slot`, 'blue', '4710']);
    expect(StandardOutput?.replaceAll('%%', '%')).toBe(`append:${home}/log/blue.log`);
  });

  const title = `systemd itself finds nothing wrong${ANALYZE ? '' : ' (skipped: there is no systemd-analyze)'}`;
  test.skipIf(!ANALYZE).each(HOMES)(`${title}: %s`, async home => {
    const folder = await mkdtemp(join(tmpdir(), 'frame-units-'));
    try {
      const units = renderUnits({ home, user: 'root' }, host('systemd'));
      const files = Object.entries(units).map(([name, text]) => [join(folder, name), text] as const);
      for (const [file, text] of files) await writeFile(file, text);
      const { stdout, stderr } = await run(ANALYZE ?? '', ['verify', '--man=no', ...files.map(([file]) => file)]);
      expect((stdout + stderr).split('\n').filter(line => line.includes(folder) || line.includes('frame-'))).toEqual(
        [],
      );
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('units that have changed', () => {
  const machine = { home: "/home/it's", user: 'frame' };

  test('systemd reads again, and starts nothing that runs', () => {
    expect(handOver('systemd', ['frame-blue.service', 'frame-logs.service'], machine, false).commands).toEqual([
      `sudo install -m 644 '/home/it'\\''s/units/frame-blue.service' '/home/it'\\''s/units/frame-logs.service' /etc/systemd/system/`,
      'sudo systemctl daemon-reload',
      'sudo systemctl enable frame-blue.service',
    ]);
  });

  test('a timer starts at once, and there is no line that enables nothing', () => {
    expect(handOver('systemd', ['frame-logs.timer'], machine, false).commands.slice(1)).toEqual([
      'sudo systemctl daemon-reload',
      'sudo systemctl enable --now frame-logs.timer',
    ]);
    expect(handOver('systemd', ['frame-logs.service'], machine, false).commands).toHaveLength(2);
  });

  test('logs that nobody has looked after for hours are a chore, with what starts their rotation', () => {
    const hour = 3_600_000;
    const rotated = (supervisor: 'launchd' | 'systemd', rotatedAt: number, installedAt = 0) =>
      choresOfLogs(supervisor, { installedAt, rotatedAt }, 10 * hour).flatMap(({ commands }) => commands);
    expect(rotated('systemd', 9 * hour)).toEqual([]);
    expect(rotated('systemd', 0, 8 * hour)).toEqual([]);
    expect(rotated('systemd', 6 * hour, hour)).toEqual(['sudo systemctl enable --now frame-logs.timer']);
    expect(rotated('launchd', 0)).toEqual([expect.stringContaining('/Library/LaunchDaemons/ai.frame.logs.plist')]);
  });

  test('what is installed and does not run is named, with what starts it', () => {
    expect(wake('systemd', ['blue', 'proxy'])).toEqual({
      sentence:
        'Installed, and not running: blue, proxy. Start it; if it ends again, log/blue.log, log/proxy.log says why:',
      commands: ['sudo systemctl enable --now frame-blue.service frame-proxy.service'],
    });
    expect(wake('launchd', ['green']).commands).toEqual([
      'sudo launchctl bootstrap system /Library/LaunchDaemons/ai.frame.green.plist || sudo launchctl kickstart -k system/ai.frame.green',
    ]);
  });

  test('launchd takes one after the other, each when a person says so', () => {
    const { sentence, commands } = handOver('launchd', ['ai.frame.proxy.plist'], { ...machine, home: '/f' }, false);
    expect(sentence).toContain('(ai.frame.proxy)');
    expect(commands).toEqual([
      'sudo install -o root -g wheel -m 644 /f/units/ai.frame.proxy.plist /Library/LaunchDaemons/',
      'label=…; sudo launchctl bootout system/$label; until sudo launchctl bootstrap system /Library/LaunchDaemons/$label.plist; do sleep 1; done',
    ]);
  });
});

test('nobody who keeps them alive, no units', () => {
  expect(renderUnits({ home: '/f', user: 'frame' }, host('none'))).toEqual({});
});

type Value = string | number | boolean | Value[] | { [key: string]: Value };

/** A strict reader of what Apple's DTD allows; it knows no more than our lists need. */
function readPlist(text = ''): Value {
  const [, body] =
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<!DOCTYPE plist PUBLIC "-\/\/Apple\/\/DTD PLIST 1\.0\/\/EN" "http:\/\/www\.apple\.com\/DTDs\/PropertyList-1\.0\.dtd">\n<plist version="1\.0">(.*)<\/plist>\n$/s.exec(
      text,
    ) ?? [];
  if (body === undefined) throw new Error('no property list');
  const tokens = body.match(/<[^<>]*>|[^<>]+/g) ?? [];
  let at = 0;
  const skip = () => {
    while (tokens[at]?.trim() === '') at += 1;
  };
  const take = (expected: string) => {
    skip();
    if (tokens[at] !== expected) throw new Error(`${expected} expected, not ${tokens[at]}`);
    at += 1;
  };
  const words = (tag: string) => {
    take(`<${tag}>`);
    const raw = tokens[at]?.startsWith('<') ? '' : (tokens[at++] ?? '');
    if (/&(?!(amp|lt|gt|quot|apos);)/.test(raw)) throw new Error(`a bare & in ${raw}`);
    take(`</${tag}>`);
    return raw.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
  };
  const value = (): Value => {
    skip();
    const tag = tokens[at];
    if (tag === '<string>') return words('string');
    if (tag === '<integer>') return Number(words('integer'));
    if (tag === '<true/>' || tag === '<false/>') return tokens[at++] === '<true/>';
    if (tag === '<array>') {
      const items: Value[] = [];
      take('<array>');
      for (skip(); tokens[at] !== '</array>'; skip()) items.push(value());
      take('</array>');
      return items;
    }
    const facts: { [key: string]: Value } = {};
    take('<dict>');
    for (skip(); tokens[at] !== '</dict>'; skip()) facts[words('key')] = value();
    take('</dict>');
    return facts;
  };
  const read = value();
  skip();
  if (at !== tokens.length) throw new Error(`${tokens[at]} behind the end`);
  return read;
}

function settingsOf(unit = ''): Record<string, string> {
  const lines = unit.split('\n').filter(line => line.includes('='));
  return Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** As systemd.service(5) says: quotes with backslashes in them, then %% and $$. */
function splitExec(line: string): string[] {
  const words = line.match(/"(?:[^"\\]|\\.)*"|[^\s"]+/g) ?? [];
  if (words.join(' ') !== line) throw new Error(`no command line: ${line}`);
  return words.map(word => {
    const plain = word.startsWith('"') ? word.slice(1, -1).replaceAll(/\\(.)/g, '$1') : word;
    if (/(^|[^%])(%%)*%([^%]|$)/.test(plain) || /(^|[^$])(\$\$)*\$([^$]|$)/.test(plain))
      throw new Error(`read: ${plain}`);
    return plain.replaceAll('%%', '%').replaceAll('$$', '$');
  });
}
