import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A program `tailscale` that does what a script says, in a folder of its own for PATH. */
export interface Tailscale extends AsyncDisposable {
  folder: string;
  env: NodeJS.ProcessEnv;
}

export async function makeTailscale(script: string): Promise<Tailscale> {
  const folder = await mkdtemp(join(tmpdir(), 'frame-tailscale-'));
  await mkdir(join(folder, 'bin'));
  await writeFile(join(folder, 'bin/tailscale'), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, 'bin/tailscale'), 0o755);
  return {
    folder,
    env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}` },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** One that answers `status --json`, and nothing else. */
export function tellStatus(status: object): string {
  return `[ "$*" = 'status --json' ] || { echo "unknown: $*" >&2; exit 2; }\ncat <<'END'\n${JSON.stringify(status, null, 2)}\nEND`;
}

/** `tailscale status --json` as version 1.86 writes it, with these peers. */
export function statusOf(peers: readonly object[], changes: object = {}): object {
  return {
    Version: '1.86.2-t0e1b1a8f5-g4c1f4e8d2',
    TUN: true,
    BackendState: 'Running',
    HaveNodeKey: true,
    AuthURL: '',
    TailscaleIPs: ['100.64.0.9', 'fd7a:115c:a1e0::9'],
    Self: { ...peerOf('laptop', {}), KeyExpiry: '2027-04-01T08:00:00Z' },
    Health: [],
    MagicDNSSuffix: 'tail1234.ts.net',
    CurrentTailnet: { Name: 'frame.example', MagicDNSSuffix: 'tail1234.ts.net', MagicDNSEnabled: true },
    CertDomains: null,
    Peer: Object.fromEntries(peers.map((peer, i) => [`nodekey:${String(i).padStart(64, '0')}`, peer])),
    User: { 1: { ID: 1, LoginName: 'anna@frame.example', DisplayName: 'Anna', ProfilePicURL: '' } },
    ClientVersion: null,
    ...changes,
  };
}

/** A machine of this DNS name; all of them say that they are called `Mac mini`. */
export function peerOf(name: string, changes: object): object {
  return {
    ID: `n${name}CNTRL`,
    PublicKey: `nodekey:${name.padEnd(64, '0')}`,
    HostName: 'Mac mini',
    DNSName: `${name}.tail1234.ts.net.`,
    OS: 'macOS',
    UserID: 1,
    TailscaleIPs: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
    AllowedIPs: ['100.64.0.1/32'],
    Addrs: null,
    CurAddr: '',
    Relay: 'fra',
    RxBytes: 0,
    TxBytes: 0,
    Created: '2026-01-02T03:04:05.678Z',
    LastWrite: '0001-01-01T00:00:00Z',
    LastSeen: '0001-01-01T00:00:00Z',
    LastHandshake: '0001-01-01T00:00:00Z',
    Online: true,
    ExitNode: false,
    ExitNodeOption: false,
    Active: false,
    PeerAPIURL: null,
    TaildropTarget: 0,
    NoFileSharingReason: '',
    InNetworkMap: true,
    InMagicSock: true,
    InEngine: false,
    ...changes,
  };
}
