import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isAlive } from '../../src/database/embedded-process.ts';
import { readTailnet } from '../../src/operator/health/tailnet.ts';
import { makeTailscale, peerOf, statusOf, tellStatus } from './tailscale.ts';

async function read(script: string) {
  const tailscale = await makeTailscale(script);
  onTestFinished(() => tailscale[Symbol.asyncDispose]());
  return readTailnet(tailscale.env);
}

const find = async (host: string, ...peers: object[]) => (await read(tellStatus(statusOf(peers)))).find(host);

test('a machine that is online and never has to sign in again', async () => {
  expect(await find('axe-mac', peerOf('axe-mac', {}))).toEqual({
    name: 'axe-mac.tail1234.ts.net',
    isOnline: true,
    isExpired: false,
  });
});

test('one that is off, and since when', async () => {
  const off = peerOf('axe-mac', { Online: false, LastSeen: '2026-11-19T12:00:00Z' });
  expect(await find('axe-mac', off)).toMatchObject({ isOnline: false, lastSeen: Date.UTC(2026, 10, 19, 12) });
});

test('one whose key ends, and one whose key has ended', async () => {
  const ends = peerOf('axe-mac', { KeyExpiry: '2026-12-01T00:00:00Z' });
  const ended = peerOf('bolt-mac', { KeyExpiry: '2026-11-01T00:00:00Z', Expired: true, Online: false });
  expect(await find('axe-mac', ends, ended)).toMatchObject({ isExpired: false, keyExpiry: Date.UTC(2026, 11, 1) });
  expect(await find('bolt-mac', ends, ended)).toMatchObject({ isExpired: true, isOnline: false });
});

test('two with one HostName are told apart by their DNS names', async () => {
  const [first, second] = [peerOf('mac-mini', { Online: false }), peerOf('mac-mini-1', {})];
  expect(await find('mac-mini', first, second)).toMatchObject({ isOnline: false });
  expect(await find('mac-mini-1', first, second)).toMatchObject({ isOnline: true });
  expect(await find('Mac mini', first, second)).toBeUndefined();
});

test('a machine that somebody shared from another tailnet is not the one of the same short name', async () => {
  const shared = peerOf('axe-mac', { DNSName: 'axe-mac.tail9999.ts.net.', Online: false, ShareeNode: true });
  const own = peerOf('axe-mac', {});
  expect(await find('axe-mac', shared, own)).toMatchObject({ name: 'axe-mac.tail1234.ts.net', isOnline: true });
  expect(await find('axe-mac', shared)).toBeUndefined();
  expect(await find('axe-mac.tail9999.ts.net', shared, own)).toMatchObject({ isOnline: false });
});

test.each(['axe-mac', 'AXE-Mac', 'frame@axe-mac', 'axe-mac.tail1234.ts.net', '100.64.0.7'])(
  'ssh knows it as %s',
  async host => {
    const peer = peerOf('axe-mac', { TailscaleIPs: ['100.64.0.7'] });
    expect(await find(host, peerOf('other', { TailscaleIPs: null }), peer)).toMatchObject({ isOnline: true });
  },
);

test('nobody but this laptop', async () => {
  const tailnet = await read(tellStatus(statusOf([], { Peer: null })));
  expect(tailnet.find('axe-mac')).toBeUndefined();
  expect(tailnet.find('laptop')).toMatchObject({ isOnline: true });
  expect(tailnet.remark).toBeUndefined();
});

test('a laptop without tailscale says nothing about it', async () => {
  const tailnet = await readTailnet({ PATH: '/nowhere' });
  expect([tailnet.find('axe-mac'), tailnet.remark]).toEqual([undefined, undefined]);
});

test.each([
  [
    'that is switched off',
    tellStatus(statusOf([], { BackendState: 'Stopped', Peer: null })),
    'is Stopped: `tailscale up`',
  ],
  ['that is signed out', `${tellStatus(statusOf([], { BackendState: 'NeedsLogin' }))}\nexit 1`, 'is NeedsLogin'],
  ['whose daemon is not there', 'echo "failed to connect to local Tailscale service" >&2; exit 1', '(exit code 1)'],
  ['that prints something else', 'echo "Warning: client version differs"; echo {}', 'gave no status (exit code 0)'],
  ['that is cut off', `${tellStatus(statusOf([]))} | head -c 200`, 'gave no status'],
  ['that is of another shape', tellStatus({ BackendState: 'Running', Peer: [1, 2] }), 'gave no status'],
  ['that may not be run', '', 'EACCES'],
])('a tailscale %s is a remark, never a failure', async (title, script, remark) => {
  const tailscale = await makeTailscale(script);
  onTestFinished(() => tailscale[Symbol.asyncDispose]());
  if (title === 'that may not be run') await chmod(join(tailscale.folder, 'bin/tailscale'), 0o644);
  const tailnet = await readTailnet({ PATH: `${tailscale.folder}/bin:/usr/bin:/bin` });
  expect(tailnet.remark).toContain(remark);
  expect(tailnet.find('axe-mac')).toBeUndefined();
});

test('a tailscale that hangs is given up, and ended', async () => {
  await using tailscale = await makeTailscale('echo $$ >"$0.pid"; exec sleep 60');
  const tailnet = await readTailnet(tailscale.env);
  expect(tailnet.remark).toBe('tailscale did not answer within 3 s');
  const pid = Number(await readFile(join(tailscale.folder, 'bin/tailscale.pid'), 'utf8'));
  await expect.poll(() => isAlive(pid)).toBe(false);
});
