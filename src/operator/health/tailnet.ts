import { z } from 'zod';
import { FrameError } from '../../errors.ts';
import { ProgramMissing, runProgram } from '../program.ts';

/** What `tailscale` on this computer knows of the customers' machines. */
export interface Tailnet {
  /** The machine that ssh would reach under this name. */
  find(host: string): TailnetNode | undefined;
  /** Why nothing, or not much, is known; a sentence. */
  remark?: string;
}

export interface TailnetNode {
  name: string;
  isOnline: boolean;
  isExpired: boolean;
  /** Milliseconds since 1970; undefined when it never has to sign in again. */
  keyExpiry?: number;
  lastSeen?: number;
}

/** Never rejects: a laptop without tailscale, or one where it is stuck, has other ways to the machines. */
export async function readTailnet(env: NodeJS.ProcessEnv): Promise<Tailnet> {
  try {
    const ended = await runProgram('tailscale', ['status', '--json'], { env, timeoutSeconds: TIMEOUT_SECONDS });
    if (ended.timedOut) return unknown(`tailscale did not answer within ${TIMEOUT_SECONDS} s`);
    // Stopped or signed out, it says so in its answer, with any exit code.
    return parseTailnet(ended.out) ?? unknown(`tailscale gave no status (exit code ${ended.exit})`);
  } catch (thrown) {
    if (thrown instanceof ProgramMissing) return { find: () => undefined };
    if (thrown instanceof FrameError || (thrown instanceof Error && 'code' in thrown)) return unknown(thrown.message);
    throw thrown;
  }
}

/** `text`: of `tailscale status --json`. Undefined when it is something else. */
export function parseTailnet(text: string): Tailnet | undefined {
  const { data: status } = Status.safeParse(parseJson(text));
  if (!status) return undefined;
  const suffix = status.CurrentTailnet?.MagicDNSSuffix || status.MagicDNSSuffix;
  const peers = [...Object.values(status.Peer ?? {}), ...(status.Self ? [status.Self] : [])];
  return {
    // Several machines may have one HostName; among DNSNames and addresses there are no two alike.
    find(host) {
      const [name = ''] = host.toLowerCase().split('@').slice(-1);
      const full = name.includes('.') ? name : `${name}.${suffix}`.toLowerCase();
      const peer = peers.find(
        ({ DNSName, TailscaleIPs }) =>
          DNSName.toLowerCase().replace(/\.$/, '') === full || TailscaleIPs?.includes(name),
      );
      return peer && toNode(peer);
    },
    ...(status.BackendState !== 'Running' && {
      remark: `tailscale on this computer is ${status.BackendState}: \`tailscale up\` connects it`,
    }),
  };
}

// Private

const TIMEOUT_SECONDS = 3;

/** Go writes the zero time where it knows none. */
const time = z
  .string()
  .transform(text => Date.parse(text))
  .refine(ms => ms > 0)
  .optional()
  .catch(undefined);

const Peer = z.object({
  DNSName: z.string().default(''),
  TailscaleIPs: z.array(z.string()).nullish(),
  Online: z.boolean().default(false),
  Expired: z.boolean().default(false),
  KeyExpiry: time,
  LastSeen: time,
});

const Status = z.object({
  BackendState: z.string(),
  MagicDNSSuffix: z.string().default(''),
  CurrentTailnet: z.object({ MagicDNSSuffix: z.string().default('') }).nullish(),
  Self: Peer.nullish(),
  Peer: z.record(z.string(), Peer).nullish(),
});

function toNode({ DNSName, Online, Expired, KeyExpiry, LastSeen }: z.output<typeof Peer>): TailnetNode {
  return {
    name: DNSName.replace(/\.$/, ''),
    isOnline: Online,
    isExpired: Expired,
    ...(KeyExpiry !== undefined && { keyExpiry: KeyExpiry }),
    ...(LastSeen !== undefined && { lastSeen: LastSeen }),
  };
}

function unknown(reason: string): Tailnet {
  return { find: () => undefined, remark: reason };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
