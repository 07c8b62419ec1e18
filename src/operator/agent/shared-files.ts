import type { Changes } from './changes.ts';
import { Refused } from './deed.ts';
import { readIfThere } from './durable.ts';
import { findIdleLines, mergeEnv, readEnv } from './env-file.ts';
import type { Layout } from './layout.ts';
import type { Chore, Provisioning } from './protocol.ts';
import { liveSlot } from './slots.ts';

/**
 * The variables of shared/env.
 * @throws Refused when it cannot be read, or not be edited without harm to what people wrote there.
 */
export async function openEnv(layout: Layout, request: Provisioning): Promise<Record<string, string>> {
  const text = await readEnvText(layout);
  if (/[\0\ufffd]/.test(text)) {
    throw new Refused({ code: 'deploy/refused', message: 'shared/env is not text: mend or remove it.', exit: 2 });
  }
  mergeEnv(text, wantedOf(request, 'postgres://nobody@127.0.0.1/postgres'));
  return readEnv(text);
}

/**
 * What both slots read: shared/env when they start, shared/customers.yaml whenever it changes. `databaseUrl`: a new one,
 * where there is one.
 */
export async function writeShared(
  layout: Layout,
  request: Provisioning,
  databaseUrl: string | undefined,
  changes: Changes,
): Promise<Chore[]> {
  const { text, changed, replaced } = mergeEnv(await readEnvText(layout), wantedOf(request, databaseUrl));
  await changes.file(layout.env, text, 0o600);
  for (const name of changed) changes.note(name, replaced.includes(name) ? 'set, instead of another value' : 'set');

  const isLive = (await liveSlot(layout)) !== undefined;
  const before = await readIfThere(layout.customers);
  const missing = missingIn(request.customers, readEnv(text));
  // No slot starts with a text that names what is not there, or for which nobody has migrated: the text before it stays.
  const mustStay = before !== undefined && (missing.length > 0 || isLive);
  await changes.file(layout.customers, mustStay ? before : request.customers, 0o600);

  const idle = findIdleLines(text);
  return [
    ...(missing.length > 0 ? [setThem(missing, request.customer, mustStay)] : []),
    ...(idle.length > 0 ? [lookAt(idle)] : []),
    ...(changed.length > 0 && isLive ? [startAnew(request.customer)] : []),
    ...(missing.length === 0 && isLive && before !== request.customers ? [bringIt(request.customer)] : []),
  ];
}

// Private

const HEADING = '# NAME=value, read by both slots when they start. `frame provision` sets some; add yours.\n';

async function readEnvText(layout: Layout): Promise<string> {
  return (await readIfThere(layout.env)) ?? HEADING;
}

function wantedOf({ customer, env }: Provisioning, databaseUrl: string | undefined): Record<string, string> {
  return { ...env, FRAME_CUSTOMER: customer, ...(databaseUrl !== undefined && { FRAME_DATABASE_URL: databaseUrl }) };
}

/** The `${NAME}` of customers.yaml that nobody gave a value. */
function missingIn(customers: string, env: Readonly<Record<string, string>>): string[] {
  const names = [...customers.matchAll(/\$\{([A-Za-z_]\w*)\}/g)].map(([, name = '']) => name);
  return [...new Set(names)].filter(name => !env[name]);
}

function setThem(names: readonly string[], customer: string, mustStay: boolean): Chore {
  const stays = mustStay ? ', so shared/customers.yaml stays as it was' : '';
  return {
    sentence: `customers.yaml reads ${names.join(', ')}, which nobody has set here${stays}. Provision again with a value:`,
    commands: [`${names.map(name => `${name}=…`).join(' ')} frame provision ${customer}`],
  };
}

function lookAt(lines: readonly number[]): Chore {
  const sentence = `shared/env has lines that say nothing (no NAME=value, or set again further down): ${lines.join(', ')}.`;
  return { sentence, commands: [] };
}

function bringIt(customer: string): Chore {
  const sentence = 'shared/customers.yaml stays as it was: a deploy proves the new one and brings it.';
  return { sentence, commands: [`frame deploy ${customer}`] };
}

function startAnew(customer: string): Chore {
  const sentence = 'What is new in shared/env counts when a slot starts the next time, which this makes happen:';
  return { sentence, commands: [`frame deploy ${customer}`] };
}
