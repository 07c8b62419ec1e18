import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Deeds } from './deed.ts';
import { layoutOf } from './layout.ts';
import type { Ask, Heard } from './protocol.ts';
import { refusalOf } from './refusal.ts';

/**
 * The agent on a customer's machine: `node agent/<hash>/main.ts HOME`, one request, then it ends. It stands alone: only
 * Node and the files of this folder. The laptop may vanish meanwhile (SIGHUP from sshd, a closed pipe); what was begun is
 * brought to its end. Told to end, it does so before the next step that may be left out.
 */
const DEEDS: Deeds = {
  offer: async () => (await import('./offer.ts')).offer,
  assemble: async () => (await import('./assemble.ts')).assemble,
  activate: async () => (await import('./activate.ts')).activate,
  promote: async () => (await import('./promote.ts')).promote,
  rollback: async () => (await import('./rollback.ts')).rollback,
  cleanup: async () => (await import('./cleanup.ts')).cleanup,
  inspect: async () => (await import('./inspect.ts')).inspect,
  provision: async () => (await import('./provision.ts')).provision,
};

const stopping = new AbortController();
process.on('SIGHUP', () => {});
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
process.exitCode = await main(process.argv[2] ?? '.');

// Private

async function main(home: string): Promise<number> {
  try {
    const { verb, by, dryRun, ...request } = await readAsk();
    if (!Object.hasOwn(DEEDS, verb)) throw new Error(`There is no verb \`${verb}\`.`);
    const deed = await DEEDS[verb]();
    const scene = { layout: layoutOf(resolve(home)), by, dryRun, tell, stop: stopping.signal };
    const answer = await deed(request as never, scene);
    tell({ kind: 'answer', answer });
    return 0;
  } catch (thrown) {
    const refusal = refusalOf(thrown);
    tell({ kind: 'refusal', refusal });
    return refusal.exit;
  }
}

async function readAsk(): Promise<Ask> {
  try {
    for await (const line of createInterface({ input: process.stdin })) return JSON.parse(line) as Ask;
    throw new Error('The agent was asked nothing.');
  } finally {
    // Who asks may leave it open, and would keep us from ending.
    process.stdin.destroy();
  }
}

function tell(heard: Heard): void {
  process.stdout.write(`${JSON.stringify(heard)}\n`);
}
