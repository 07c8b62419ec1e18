import type { TestProject } from 'vitest/node';
import { prepareCluster } from '../../src/database/embedded-cluster.ts';
import { startPostmaster } from '../../src/database/embedded-postmaster.ts';
import { makeDataFolder, removeDataFolder, removeDeadDataFolders } from './data-folder.ts';
import { freePorts } from './free-ports.ts';
import { copyCluster, urlOf } from './postgres.ts';

/** One Postgres for the whole run, and its files at rest for tests that need a server of their own. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  await removeDeadDataFolders();
  const template = await makeDataFolder();
  const folder = await makeDataFolder();
  await prepareCluster(template);
  await copyCluster(template, folder);
  const cluster = await prepareCluster(folder);
  const postmaster = await startPostmaster(cluster, await freePorts(1));
  project.provide('postgres', { url: urlOf(cluster, postmaster).reveal(), template });
  return async () => {
    await Promise.all([template, folder].map(removeDataFolder));
  };
}
