import { chmod, copyFile, link, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Layout, layoutOf } from '../../src/operator/agent/layout.ts';
import { readManifest, releaseText, treeHashOf } from '../../src/operator/agent/manifest.ts';
import type { ReleaseFile } from '../../src/operator/agent/protocol.ts';
import type { Release } from '../../src/operator/release/release.ts';
import { type HostOptions, openHost } from '../../src/operator/remote/host.ts';
import { customerIn, TWO_CUSTOMERS } from '../customers/fixture.ts';
import { makeDataFolder } from '../support/data-folder.ts';
import { type Sshd, type SshdOptions, startSshd } from '../support/sshd.ts';

/** A customer's machine that has Node and nothing else of Frame, behind a real sshd, and small releases for it. */
export interface MachineLab extends AsyncDisposable {
  /** The home folder of the login. */
  folder: string;
  layout: Layout;
  sshd: Sshd;
  options: HostOptions;
  open(): ReturnType<typeof openHost>;
  release(number: number, files: Readonly<Record<string, Content>>): Promise<Release>;
  /** Everything below the home, sorted; of `releases` by default. */
  list(folder?: string): Promise<string[]>;
}

export type Content = string | { text: string; executable: boolean } | { link: string };

export interface LabOptions extends SshdOptions {
  /** Frame's folder, as deploy.yaml has it. Default `frame`. */
  home?: string;
  hasNode?: boolean;
}

export async function startLab({
  home = 'frame',
  hasNode = true,
  ...sshdOptions
}: LabOptions = {}): Promise<MachineLab> {
  const folder = await makeDataFolder();
  const built = join(folder, 'laptop');
  const layout = layoutOf(join(folder, home));
  if (hasNode) await putNode(layout);
  const sshd = await startSshd({ loginHome: folder, ...sshdOptions });
  const options: HostOptions = {
    customer: { ...customerIn(TWO_CUSTOMERS), host: sshdOptions.aliases?.[0] ?? 'machine' },
    home,
    by: 'anna@laptop',
    ssh: { configFile: sshd.configFile },
  };
  return {
    folder,
    layout,
    sshd,
    options,
    open: () => openHost(options),
    release: (number, files) => makeRelease(join(built, `${number}`), number, files),
    list: async (below = layout.releases) => (await readdir(below, { recursive: true }).catch(() => [])).sort(),
    async [Symbol.asyncDispose]() {
      await sshd.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function putNode({ node }: Layout): Promise<void> {
  await mkdir(dirname(node), { recursive: true });
  await link(process.execPath, node).catch(() => copyFile(process.execPath, node));
}

// Private

async function makeRelease(folder: string, number: number, files: Readonly<Record<string, Content>>): Promise<Release> {
  await rm(folder, { recursive: true, force: true });
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    if (typeof content !== 'string' && 'link' in content) await symlink(content.link, file);
    else {
      const { text, executable } = typeof content === 'string' ? { text: content, executable: false } : content;
      await writeFile(file, text);
      await chmod(file, executable ? 0o755 : 0o644);
    }
  }
  const manifest = await readManifest(folder);
  const commit = `${number}`.padStart(7, '0').padEnd(40, 'a');
  const file: ReleaseFile = {
    release: `20260101T0000${`${number}`.padStart(2, '0')}Z-${commit.slice(0, 7)}`,
    commit,
    tree: treeHashOf(manifest),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    schema: { control: { newest: 0, breaking: 0 }, entity: { newest: 0, breaking: 0 } },
  };
  await writeFile(join(folder, 'release.json'), releaseText(file), { mode: 0o644 });
  return { id: file.release, folder, file, manifest };
}
