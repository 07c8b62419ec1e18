import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { orDidYouMean } from '../did-you-mean.ts';
import { type Mistake, WrongConfiguration } from '../errors.ts';
import { parseYaml, type Report, readConfigurationFile } from '../yaml-file.ts';
import { type Camelled, section, toCamel, whole } from './section.ts';

/** The values of config/deploy.yaml, which explains each of them. What is left out has its default. */
const deploySchema = z.strictObject({
  home: z
    .string()
    .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, { error: 'must be the path of a folder' })
    .regex(/^[^~-]/, { error: 'must not begin with ~ or -; what is no full path begins in the folder of the login' })
    .regex(/^([^{}]|\{customer\})*$/, { error: 'may hold {customer} between braces, and nothing else' })
    .default('frame'),
  keep_releases: whole(3, 1, 100),
  min_free_megabytes: whole(1_024, 0),
  canary: z.string().optional(),
  batch: whole(3, 1, 100),
  steps: section({
    connect_seconds: whole(5, 1, 120),
    build_seconds: whole(900, 1, 86_400),
    upload_seconds: whole(1_800, 1, 86_400),
    migrate_seconds: whole(300, 1, 86_400),
    stop_seconds: whole(30, 1, 600),
  }),
  gate: section({ answers: whole(3, 1, 100), seconds: whole(30, 1, 600) }),
  verify: section({ answers: whole(5, 1, 100), seconds: whole(2, 1, 600) }),
  watch: section({
    seconds: whole(10, 0, 600),
    error_points: z.number().min(0).max(100).default(2),
    latency_factor: z.number().min(1).max(1_000).default(3),
    min_requests: whole(20, 1),
  }),
});

export type DeployConfig = Camelled<z.output<typeof deploySchema>>;

/** Whom `canary` may name. */
export type Hosted = readonly { id: string; host: string | undefined }[];

export const DEFAULT_DEPLOY_CONFIG: DeployConfig = toCamel(deploySchema.parse({}));

/** Without `customers` the name of the canary is not checked. */
export function parseDeployConfig(
  file: string,
  text: string,
  customers?: Hosted,
): { value: DeployConfig } | { mistakes: Mistake[] } {
  const parsed = parseYaml(file, text, deploySchema, (tree, report) => {
    if (customers) reportStrangeCanary(tree, customers, report);
    return tree;
  });
  return 'mistakes' in parsed ? parsed : { value: toCamel(parsed.value) };
}

/**
 * deploy.yaml of the folder with the configuration; a missing file is all its defaults.
 * @throws WrongConfiguration with every mistake.
 */
export async function readDeployConfig(configFolder: string, customers?: Hosted): Promise<DeployConfig> {
  const file = join(configFolder, 'deploy.yaml');
  if (!existsSync(file)) return DEFAULT_DEPLOY_CONFIG;
  const parsed = parseDeployConfig(file, await readConfigurationFile(file), customers);
  if ('mistakes' in parsed) throw new WrongConfiguration(parsed.mistakes);
  return parsed.value;
}

// Private

function reportStrangeCanary(tree: unknown, customers: Hosted, report: Report): void {
  const { canary } = z.object({ canary: z.string() }).safeParse(tree).data ?? {};
  if (canary === undefined) return;
  const named = customers.find(({ id }) => id === canary);
  const ids = customers.map(({ id }) => id);
  if (!named) report(['canary'], id => `customers.yaml has no customer \`${id}\`${orDidYouMean(canary, ids)}`);
  else if (!named.host) report(['canary'], id => `\`${id}\` has no host in customers.yaml`);
}
