import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Mistake, WrongConfiguration } from '../errors.ts';
import { parseYaml, readConfigurationFile } from '../yaml-file.ts';
import { DEFAULT_GATEWAY_CONFIG, type GatewayConfig, parseGatewayConfig } from './gateway-config.ts';
import { parseRoles, type Roles } from './roles.ts';
import { type Flags, readVariables, type Variables } from './variables.ts';

/** Environment, flags and config/*.yaml → one value that says how this process runs. customers.yaml is not read here. */
export interface Settings extends Variables {
  /** Of release.json beside package.json; `dev` in a work tree. */
  release: string;
  gateway: GatewayConfig;
  roles: Roles;
}

export interface SettingsOptions {
  /** The tools there are; without them, names in roles.yaml are not checked. */
  toolNames?: ReadonlySet<string>;
  /** Where package.json is. */
  root?: string;
}

/** @throws WrongConfiguration with every mistake. */
export async function readSettings(
  env: NodeJS.ProcessEnv,
  flags: Flags,
  cwd: string,
  options: SettingsOptions = {},
): Promise<Settings> {
  const { settings, mistakes } = await inspectSettings(env, flags, cwd, options);
  if (mistakes.length > 0) throw new WrongConfiguration(mistakes);
  return settings;
}

/** What is wrong stands at its default; roles are empty then. For `check`, which goes on to the next file. */
export async function inspectSettings(
  env: NodeJS.ProcessEnv,
  flags: Flags,
  cwd: string,
  { toolNames, root = join(import.meta.dirname, '../..') }: SettingsOptions = {},
): Promise<{ settings: Settings; mistakes: Mistake[] }> {
  const { variables, mistakes } = readVariables(env, flags, cwd);

  async function read<T>(file: string, fallback: T, parse: (text: string) => { value: T } | { mistakes: Mistake[] }) {
    const read = await readText(file);
    const parsed = 'mistakes' in read ? read : parse(read.text);
    if ('value' in parsed) return parsed.value;
    mistakes.push(...parsed.mistakes);
    return fallback;
  }

  const inFolder = (name: string) => join(variables.configFolder, name);
  const gatewayFile = inFolder('gateway.yaml');
  const rolesFile = inFolder('roles.yaml');
  const releaseFile = join(root, 'release.json');
  const settings = {
    ...variables,
    gateway: await read(gatewayFile, DEFAULT_GATEWAY_CONFIG, text => parseGatewayConfig(gatewayFile, text, toolNames)),
    roles: await read<Roles>(rolesFile, new Map(), text => parseRoles(rolesFile, text, toolNames)),
    release: existsSync(releaseFile) ? await read(releaseFile, 'dev', text => parseRelease(releaseFile, text)) : 'dev',
  };
  return { settings, mistakes };
}

// Private

async function readText(file: string): Promise<{ text: string } | { mistakes: Mistake[] }> {
  try {
    return { text: await readConfigurationFile(file) };
  } catch (error) {
    if (error instanceof WrongConfiguration) return { mistakes: [...error.mistakes] };
    throw error;
  }
}

/** JSON is YAML. The name travels in a header of every answer. */
function parseRelease(file: string, text: string): { value: string } | { mistakes: Mistake[] } {
  const release = z.string().regex(/^[A-Za-z0-9._+-]{1,64}$/, { error: 'must be letters, digits and . _ + -' });
  return parseYaml(
    file,
    text,
    z.looseObject({ release }).transform(file => file.release),
  );
}
