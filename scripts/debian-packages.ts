import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';

/** What some tests use of Debian. Without it they are skipped, and their titles say so. */
const PACKAGES = [
  {
    name: 'postgresql-15',
    file: '/usr/lib/postgresql/15/bin/initdb',
    purpose: 'the oldest Postgres that Frame works with',
  },
  { name: 'chromium', file: '/usr/bin/chromium', purpose: 'the sign-in pages in a real browser' },
  { name: 'openssh-server', file: '/usr/sbin/sshd', purpose: 'deploys over a real connection' },
  { name: 'caddy', file: '/usr/bin/caddy', purpose: 'the flip from one slot to the other' },
];

/** Installs what is missing when that can be done (Debian, as root); names it otherwise. */
export function installDebianPackages(): void {
  const missing = PACKAGES.filter(({ file }) => !existsSync(file));
  if (missing.length === 0) return;
  const list = missing.map(({ name, purpose }) => `${name} (${purpose})`).join(', ');
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.error(`Not installed, and the tests that use it are skipped: ${list}.`);
    return;
  }
  console.error(`Installing ${list} …`);
  aptGet('update');
  // One by one: what this Debian does not have must not keep the others away.
  withoutStarting(() => {
    for (const { name } of missing) aptGet('install', '--yes', '--no-install-recommends', name);
  });
  const lacking = missing.filter(({ file }) => !existsSync(file)).map(({ name }) => name);
  if (lacking.length > 0)
    console.error(`Not to be had here, and the tests that use it are skipped: ${lacking.join(', ')}.`);
}

// Private

/** Debian starts the servers that it installs, sshd and Caddy among them, and for everybody. Tests start their own. */
function withoutStarting(install: () => void): void {
  const isOurs = !existsSync(POLICY);
  if (isOurs) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    if (isOurs) rmSync(POLICY);
  }
}

/** Asked by Debian before it starts anything; 101 says no. */
const POLICY = '/usr/sbin/policy-rc.d';

/** What cannot be had here is no reason to test nothing: the skipped tests tell. */
function aptGet(...args: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['--quiet=2', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env });
}
