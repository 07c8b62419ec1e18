import type { Activated } from '../agent/protocol.ts';
import { customersPart } from '../customers-part.ts';
import type { Commit } from '../release/commit.ts';
import { nameOf } from '../release/platform.ts';
import type { Release } from '../release/release.ts';
import { askToTheEnd, type Errand, withMachine } from './errand.ts';
import { limitsOf } from './limits.ts';
import { size } from './measure.ts';
import type { Means, Reached } from './reach.ts';

/** What is deployed, the same for every customer. */
export interface Wish {
  commit: Commit;
  promote: boolean;
  /** Break a lock whose holder lives. */
  force: boolean;
}

/** Builds, uploads, and asks the agent to activate. */
export async function deployTo(errand: Errand, { commit, promote, force }: Wish): Promise<Activated> {
  const { customer, desk } = errand;
  return await withMachine(errand, async reached => {
    await bring(reached, errand, commit);
    const { text: customers } = await customersPart(desk.settings.customersFile, customer.id);
    const request = { id: commit.id, promote, customers, limits: limitsOf(desk.config), force };
    return await askToTheEnd(errand, reached.host, 'activate', request);
  });
}

/** One build for each platform, for whoever comes first and for all who come after. */
export function onceForEachPlatform(build: Means['buildRelease']): Means['buildRelease'] {
  const builds = new Map<string, Promise<Release>>();
  return options => {
    const name = nameOf(options.platform);
    const promised = builds.get(name) ?? build(options);
    builds.set(name, promised);
    return promised;
  };
}

// Private

/** The release gets there, under its final name and whole. Takes no lock: nobody looks at it yet. */
async function bring({ host, found }: Reached, errand: Errand, { id, commit }: Commit): Promise<void> {
  const { track, signal } = errand;
  if (errand.dryRun) {
    track.pass('build', 'planned', `${id} for ${nameOf(host.platform)}`);
    track.pass('upload', 'planned', found.releases.includes(id) ? 'it is there' : `to releases/${id}`);
    return;
  }
  const { root, buildRelease } = errand.means;
  const { config, settings } = errand.desk;
  const { platform } = host;
  // By its id: the branch may have moved since.
  const options = { root, dataFolder: settings.dataFolder, platform, ref: commit, allowUnpushed: true, signal };
  const build = () => buildRelease({ ...options, timeoutSeconds: config.steps.buildSeconds });
  const release = await track.run('build', build, () => `${id} for ${nameOf(platform)}`);

  signal.throwIfAborted();
  const onProgress = (sent: number, total: number) => track.meanwhile('upload', barOf(sent, total));
  const upload = () => host.upload(release, onProgress, { timeoutSeconds: config.steps.uploadSeconds });
  await track.run('upload', upload, ({ sentBytes }) => (sentBytes === 0 ? 'it is there' : size(sentBytes)));
}

function barOf(sent: number, total: number): string {
  const share = total > 0 ? Math.min(1, sent / total) : 1;
  const filled = Math.round(share * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  return `${bar} ${Math.round(share * 100)} % of ${size(total)}`;
}

const BAR_WIDTH = 20;
