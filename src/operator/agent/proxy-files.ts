import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Changes } from './changes.ts';
import { Refused } from './deed.ts';
import { type Layout, layoutOf } from './layout.ts';
import { makePassingFolder } from './passing-folder.ts';
import { runProgram } from './programs.ts';
import type { HostFacts, Provisioning } from './protocol.ts';

/**
 * Reads the new files as Caddy will, in a folder aside, so that what Caddy cannot use never lies where it looks.
 * @throws Refused with Caddy's own words.
 */
export async function checkProxyFiles(
  caddy: string,
  texts: Provisioning['proxy'],
  ports: HostFacts['ports'],
  { home, dryRun }: { home: string; dryRun: boolean },
): Promise<void> {
  // Below the home, if that may be: its name stands in the configuration then, with whatever letters are in it.
  const folder = await (dryRun ? makePassingFolder(tmpdir(), 'frame-check-') : makePassingFolder(home, '.check-'));
  try {
    const { caddyfile, services } = layoutOf(folder);
    await mkdir(join(folder, 'proxy'));
    await writeFile(caddyfile, texts.caddyfile);
    await writeFile(services, texts.services);
    const env = {
      FRAME_HOME: folder,
      FRAME_BLUE_PORT: `${ports.blue}`,
      FRAME_GREEN_PORT: `${ports.green}`,
      FRAME_PROXY_PORT: `${ports.proxy}`,
    };
    const { exit, err } = await runProgram(caddy, ['validate', '--config', caddyfile, '--adapter', 'caddyfile'], {
      env,
    });
    if (exit !== 0) throw refuse(err.trim().split('\n').at(-1)?.replaceAll(`${folder}/`, ''));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function writeProxyFiles(layout: Layout, texts: Provisioning['proxy'], changes: Changes): Promise<void> {
  await changes.file(layout.caddyfile, texts.caddyfile, 0o644);
  await changes.file(layout.services, texts.services, 0o644);
}

/** Caddy reads its files when it starts: one that started before they were written does not know them. */
export async function isProxyOutdated(layout: Layout): Promise<boolean> {
  const [started, ...written] = await Promise.all([layout.proxyPid, layout.caddyfile, layout.services].map(writtenAt));
  return written.some(at => at > (started ?? 0n));
}

// Private

function refuse(reason = 'it says nothing'): Refused {
  return new Refused({
    code: 'deploy/refused',
    message: `Caddy cannot use the new files of the proxy, so nothing was changed. ${reason}`,
    hint: 'They come from Caddyfile, and from `services` in customers.yaml.',
    exit: 2,
  });
}

async function writtenAt(file: string): Promise<bigint> {
  return await stat(file, { bigint: true }).then(
    ({ mtimeNs }) => mtimeNs,
    () => 0n,
  );
}
