import { readIfThere } from './durable.ts';
import type { Layout, Slot } from './layout.ts';
import { ask } from './loopback.ts';
import type { Limits } from './protocol.ts';
import { readVariables } from './secrets.ts';
import { until } from './until.ts';

/** After the flip: what a client meets, who comes through the proxy. */
export interface Verification {
  layout: Layout;
  ports: Record<Slot | 'proxy', number>;
  slot: Slot;
  release: string;
  limits: Limits['verify'];
}

/** Resolves to what is wrong, in a sentence, or to undefined. */
export async function findWrongAnswer({
  layout,
  ports,
  slot,
  release,
  limits,
}: Verification): Promise<string | undefined> {
  const deadline = performance.now() + limits.seconds * 1000;
  let good = 0;
  let fault = '';
  const isVerified = async () => {
    fault = await faultOf(ports.proxy, slot, release);
    good = fault === '' ? good + 1 : 0;
    return good >= limits.answers;
  };
  if (!(await until(isVerified, limits.seconds * 1000, { everyMs: EVERY_MS }))) {
    return `${good} of ${limits.answers} good answers came through the proxy within ${limits.seconds} s${fault && `: ${fault}`}`;
  }
  const host = await publicHost(layout, ports[slot]);
  let refusal = '';
  const isRefused = async () => {
    refusal = await missingRefusal(ports.proxy, host);
    return refusal === '';
  };
  const isGuarded = await until(isRefused, Math.max(0, deadline - performance.now()), { everyMs: EVERY_MS });
  return isGuarded ? undefined : refusal;
}

// Private

const EVERY_MS = 20;
const ORIGIN = /(?:^\s*|[{,]\s*)["']?origin["']?\s*:\s*["']?(https?:\/\/[\w.:[\]-]+)/m;

async function faultOf(port: number, slot: Slot, release: string): Promise<string> {
  const answer = await ask(port, { path: '/frame/ready' });
  if (!answer) return `nobody answers on port ${port}`;
  const { status, headers } = answer;
  const [from, by] = [headers['x-frame-release'], headers['x-frame-slot']];
  if (status === 200 && from === release && by === slot) return '';
  return `the proxy answered ${status}, from ${from ?? 'no release'} in ${by ?? 'no slot'}`;
}

/** Empty when the door is there and closed. */
async function missingRefusal(port: number, host: string): Promise<string> {
  const answer = await ask(port, { method: 'POST', path: '/frame/mcp', host, json: '{}' });
  if (answer?.status === 401 && answer.headers['www-authenticate']) return '';
  return `POST /frame/mcp without a token, as ${host}, was answered ${answer?.status ?? 'not at all'} instead of 401`;
}

/**
 * The name that clients call it by; under another one the gateway answers nobody. As the gateway itself decides. There is
 * no YAML here, but a customer has one `origin` only, and nothing else in the file is called that.
 */
async function publicHost(layout: Layout, slotPort: number): Promise<string> {
  const variables = await readVariables(layout);
  const customers = (await readIfThere(layout.customers)) ?? '';
  const origin = variables.FRAME_ORIGIN ?? ORIGIN.exec(customers)?.[1];
  return URL.parse(origin ?? '')?.host ?? `127.0.0.1:${slotPort}`;
}
