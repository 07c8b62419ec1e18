import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** What some tests use of Debian. Without it they are skipped, and their titles say so. */
const PACKAGES = [
  {
    name: 'postgresql-15',
    file: '/usr/lib/postgresql/15/bin/initdb',
    purpose: 'the oldest Postgres that Frame works with',
  },
  { name: 'chromium', file: '/usr/bin/chromium', purpose: 'the sign-in pages in a real browser' },
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
  aptGet('install', '--yes', '--no-install-recommends', ...missing.map(({ name }) => name));
}

// Private

/** What cannot be had here is no reason to test nothing: the skipped tests tell. */
function aptGet(...args: string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync('apt-get', ['--quiet=2', ...args], { stdio: ['ignore', 'ignore', 'inherit'], env });
}
