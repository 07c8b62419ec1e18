import { stringify } from 'yaml';
import { z } from 'zod';
import { orDidYouMean } from '../did-you-mean.ts';
import { WrongConfiguration } from '../errors.ts';
import { readConfigurationFile } from '../yaml-file.ts';
import { openYaml } from '../yaml-source.ts';

/** What one customer's machine is given of customers.yaml: nothing of any other company, and no comment. */
export interface CustomersPart {
  /** YAML, with every `${NAME}` as it was written. The same file always makes the same text. */
  text: string;
  /** The variables that it reads, in their order. */
  variables: readonly string[];
  /** For a screen: the client secret is left out unless a variable stands for it. */
  shown: string;
}

/**
 * It does not look at what the file says; see customers/customers-file.ts.
 * @throws WrongConfiguration when it is no YAML, or lacks this customer.
 */
export async function customersPart(file: string, customerId: string): Promise<CustomersPart> {
  const entry = entryOf(file, await readConfigurationFile(file), customerId);
  const text = write(customerId, entry);
  return { text, variables: variablesIn(text), shown: write(customerId, hideSecret(entry)) };
}

/** Every NAME of `${NAME}`, once each. */
export function variablesIn(text: string): string[] {
  return [...new Set([...text.matchAll(VARIABLE)].map(([, name = '']) => name))];
}

/**
 * What customers.yaml reads of the environment, for commands on a laptop: secrets of the companies are on their machines, so
 * here they may be missing, and stand for themselves.
 */
export async function withoutSecrets(file: string, env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const names = variablesIn(await readConfigurationFile(file));
  return { ...Object.fromEntries(names.map(name => [name, `\${${name}}`])), ...env };
}

// Private

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

const File = z.object({ customers: z.record(z.string(), z.unknown()) });
const WithSecret = z.looseObject({ entra: z.looseObject({ client_secret: z.unknown() }) });

function entryOf(file: string, text: string, customerId: string): unknown {
  const { source, faults } = openYaml(text);
  if (!source || faults.length > 0) throw new WrongConfiguration(faults.map(fault => ({ file, ...fault })));
  const customers = new Map(Object.entries(File.safeParse(source.value).data?.customers ?? {}));
  if (customers.has(customerId)) return customers.get(customerId);
  const guess = orDidYouMean(customerId, customers.keys());
  throw new WrongConfiguration([{ file, sentence: `there is no customer \`${customerId}\`${guess}` }]);
}

/** Aliases are written out: their anchors may stand at another company. */
function write(customerId: string, entry: unknown): string {
  return stringify({ customers: { [customerId]: entry } }, { aliasDuplicateObjects: false, lineWidth: 0 });
}

function hideSecret(entry: unknown): unknown {
  const { data } = WithSecret.safeParse(entry);
  const secret = data?.entra.client_secret;
  if (!data || secret === undefined || /^\$\{\w+\}$/.test(String(secret))) return entry;
  return { ...data, entra: { ...data.entra, client_secret: '…' } };
}
