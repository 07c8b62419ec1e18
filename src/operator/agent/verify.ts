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

/**
 * Resolves to what is wrong, in a sentence, or to undefined. A machine that is busy answers slowly and is no reason to go
 * back, so the time is not for all answers together: each good one more in a row is given as long again.
 */
export async function findWrongAnswer(verification: Verification): Promise<string | undefined> {
  const { layout, ports, slot, release, limits } = verification;
  const { answers, seconds } = limits;
  let inARow = 0;
  let fault = '';
  for (let wanted = 1; wanted <= answers; wanted++) {
    const isOneMore = async () => {
      fault = await faultOf(ports.proxy, slot, release);
      inARow = fault === '' ? inARow + 1 : 0;
      return inARow >= wanted;
    };
    if (await until(isOneMore, seconds * 1000, { everyMs: EVERY_MS })) continue;
    return `${wanted - 1} of ${answers} good answers in a row came through the proxy, and not one more within ${seconds} s${fault && `: ${fault}`}`;
  }
  const host = await publicHost(layout, ports[slot]);
  let refusal = '';
  const isRefused = async () => {
    refusal = await missingRefusal(ports.proxy, host);
    return refusal === '';
  };
  const isGuarded = await until(isRefused, seconds * 1000, { everyMs: EVERY_MS });
  return isGuarded ? undefined : refusal;
}

// Private

const EVERY_MS = 20;
const ORIGIN = /(?:^\s*|[{,]\s*)["']?origin["']?\s*:\s*["']?((?:\$\{\w+\}|[\w.:/[\]-])+)/m;

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
  const written = ORIGIN.exec(customers)?.[1]?.replaceAll(/\$\{(\w+)\}/g, (_, name) => variables[name] ?? '');
  const origin = variables.FRAME_ORIGIN ?? written;
  return URL.parse(origin ?? '')?.host ?? `127.0.0.1:${slotPort}`;
}
