import { FrameError } from '../../errors.ts';
import type { Heard, Refusal, Verb, Verbs } from '../agent/protocol.ts';
import { type Ended, lastLines } from '../program.ts';
import { script } from '../ssh.ts';
import { type AgentFiles, readAgentFiles } from './agent-files.ts';
import { freshToken, type Machine, runOrFail } from './machine.ts';
import { compress, packTar } from './tar.ts';

/** The agent of this laptop at work on a customer's machine: put there when it is not, then asked. */
export type Ask = <V extends Verb>(
  verb: V,
  request: Verbs[V]['request'],
  options?: AskOptions,
) => Promise<Verbs[V]['answer']>;

export interface AskOptions {
  /** Steps, logs and warnings; the answer or the refusal is what comes back. */
  onHeard?(heard: Heard): void;
  dryRun?: boolean;
  /** Default 900. What was begun there goes on nevertheless. */
  timeoutSeconds?: number;
}

/** The agent's own words why it will not, or could not. */
export class AgentRefused extends FrameError {
  readonly refusal: Refusal;

  constructor(refusal: Refusal, customer: string) {
    const [message = '', hint] = [refusal.message, refusal.hint].map(text => text && withCustomer(text, customer));
    super(refusal.code, message, hint === undefined ? {} : { hint });
    this.refusal = refusal;
  }
}

/** @throws FrameError `deploy/refused` when the machine was never provisioned, so that nothing can run the agent */
export async function installAgent(machine: Machine, by: string): Promise<Ask> {
  const agent = await readAgentFiles();
  if (!machine.hasNode()) {
    throw new FrameError('deploy/refused', `There is no Frame on the machine of ${machine.customer.id} yet.`, {
      hint: `Run \`frame provision ${machine.customer.id}\` first.`,
    });
  }
  if (!machine.hasAgent(agent.hash)) await push(machine, agent);
  return (verb, request, options = {}) =>
    ask(machine, agent, { ...request, verb, by, dryRun: options.dryRun ?? false }, options);
}

// Private

/**
 * Renamed when it is complete, and on the disk: whatever bears the name counts for ever. Who is second moves theirs into
 * the folder of the first, and removes it there.
 */
const PUSH = script('home', 'agent', 'token')`
  umask 022; fresh="$agent.$token";
  mkdir -p "$home/agent/$fresh" && cd "$home/agent" || exit 1;
  trap "rm -rf $fresh $agent/$fresh" EXIT;
  tar -xzmf - -C "$fresh" && sync && { [ -d "$agent" ] || mv "$fresh" "$agent"; }`;

/** `sh` stays above the agent, so that one that was killed is told apart from a connection that was lost. */
const ASK = script('home', 'agent')`
  unset NODE_OPTIONS; NODE_NO_WARNINGS=1 NODE_COMPILE_CACHE="agent/$agent/cache"; export NODE_NO_WARNINGS NODE_COMPILE_CACHE;
  cd "$home" || exit 1;
  echo; bin/node "agent/$agent/main.ts" "$(pwd -P)"; exit $?`;

async function push({ ssh, home }: Machine, { hash, files }: AgentFiles): Promise<void> {
  const payload = compress(packTar(files));
  const values = { home, agent: hash, token: freshToken() };
  await runOrFail(ssh, 'The agent cannot be put there', PUSH, values, { payload });
}

type Last = Extract<Heard, { kind: 'answer' | 'refusal' }>;

async function ask(
  { ssh, home, customer }: Machine,
  { hash }: AgentFiles,
  question: object,
  { onHeard, timeoutSeconds = 900 }: AskOptions,
): Promise<Verbs[Verb]['answer']> {
  let last: Last | undefined;
  const onLine = (line: string) => {
    const heard = parse(line);
    if (heard?.kind === 'answer' || heard?.kind === 'refusal') last = heard;
    else if (heard) onHeard?.(heard);
  };
  async function* payload(): AsyncIterable<Uint8Array> {
    yield Buffer.from(`${JSON.stringify(question)}\n`);
  }
  const running = ssh.run(ASK, { home, agent: hash }, { payload: payload(), onLine, timeoutSeconds });
  const ended = await running.catch(thrown => {
    if (last === undefined) throw thrown;
    // The last word was said before the connection ended.
    return undefined;
  });
  if (last?.kind === 'answer') return last.answer;
  if (last?.kind === 'refusal') throw new AgentRefused(last.refusal, customer.id);
  throw fellSilent(ssh.destination, ended);
}

/** The agent speaks of commands; its operator has several machines, and may copy them. */
function withCustomer(text: string, customer: string): string {
  return text.replaceAll(/`frame (?:deploy|promote|rollback|provision|status|slot \w+)(?=`| --)/g, `$& ${customer}`);
}

/** Login profiles print on the same output; what is no word of the agent is not for us. */
function parse(line: string): Heard | undefined {
  if (!line.startsWith('{"kind":')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function fellSilent(destination: string, ended: Ended | undefined): FrameError {
  const [thrown] = /^\w*Error\b.*/m.exec(ended?.err ?? '') ?? [];
  const why = thrown ?? (lastLines(`${ended?.out}\n${ended?.err}`) || 'it said nothing');
  const message = `The agent on ${destination} ended without an answer (exit code ${ended?.exit}): ${why}`;
  return new FrameError('deploy/failed', message, { hint: 'Look at the machine with `frame health`, then try again.' });
}
