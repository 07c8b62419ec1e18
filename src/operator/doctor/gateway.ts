import { z } from 'zod';
import type { Customer } from '../../customers/customer.ts';
import { readObject } from './documents.ts';
import { foreignAnswer } from './foreign-answer.ts';
import { NoAnswer, type Reply, toNoAnswer } from './network.ts';
import type { Path } from './path.ts';
import { broken, type Finding, ok } from './walk.ts';

/** Who answers at `{origin}/frame/ready`: a gateway of ours that is ready, or whoever stands in its way. */
export async function lookAtGateway({ network, customer, origin }: Path): Promise<Finding> {
  const reply = await network.ask(`${origin}/frame/ready`).catch(toNoAnswer);
  if (!(reply instanceof NoAnswer)) return judgeGateway(reply, customer, origin);
  return broken(
    `The connection stands, and there is no answer: ${reply.message}.`,
    `The proxy on the machine waits 15 s for a live slot that is gone: \`frame health ${customer.id}\` says whether it is.`,
  );
}

/** The answer of that address, in words. */
export function judgeGateway(reply: Reply, customer: Customer, origin: string): Finding {
  const [release] = reply.all('x-frame-release');
  if (release === undefined) return proxyAnswer(reply, customer) ?? foreignAnswer(reply, customer, origin);
  const body = Ready.parse(readObject(reply) ?? {});
  const [slot] = reply.all('x-frame-slot');
  const who = `release ${release}${slot === undefined ? '' : ` in slot ${slot}`}`;
  return (
    wrongHost(reply.status, body, who, customer, origin) ??
    wrongCustomer(body, who, customer) ??
    notReady(reply.status, body, who, customer) ??
    ok(`${capital(who)} is ready.`)
  );
}

// Private

const Ready = z.object({
  status: z.string().catch(''),
  code: z.string().catch(''),
  customer: z.string().nullable().catch(null),
  checks: z.record(z.string(), z.unknown()).catch({}),
});
type Ready = z.output<typeof Ready>;

/** Our Caddy, when it has nobody to pass the request to: it speaks as a gateway does, but of no release. */
function proxyAnswer(reply: Reply, { id }: Customer): Finding | undefined {
  if (readObject(reply)?.type !== 'urn:frame:error:unavailable') return undefined;
  if (reply.status === 503) {
    return broken(
      'The proxy on the machine answers, and no slot is live.',
      `\`frame slot list ${id}\` shows both; \`frame promote ${id}\` makes the idle one live, \`frame deploy ${id}\` brings a release.`,
    );
  }
  return broken(
    `The proxy on the machine answers ${reply.status}: its live slot does not answer.`,
    `\`frame slot status ${id}\` shows what is wrong with it; \`frame rollback ${id}\` goes back to the other one.`,
  );
}

function wrongHost(
  status: number,
  { code }: Ready,
  who: string,
  { id }: Customer,
  origin: string,
): Finding | undefined {
  if (status !== 403 || code !== 'access/wrong-host') return undefined;
  return broken(
    `A gateway (${who}) answers, and does not know ${origin} as its own.`,
    `It has another customers.yaml: \`frame status ${id}\` shows how it differs, \`frame deploy ${id}\` brings yours. If it is the same, the tunnel changes the Host header: take httpHostHeader out of its ingress.`,
  );
}

/** A gateway that serves everybody names nobody. */
function wrongCustomer({ customer }: Ready, who: string, { id }: Customer): Finding | undefined {
  if (customer === null || customer === id) return undefined;
  return broken(
    `A gateway of another customer answers: ${customer} (${who}).`,
    `The name or its tunnel leads to the machine of ${customer}: compare the ingress that \`frame provision ${id} --dry-run\` prints with the tunnel's.`,
  );
}

function notReady(status: number, body: Ready, who: string, { id }: Customer): Finding | undefined {
  if (status === 200) return undefined;
  const failed = Object.entries(body.checks).flatMap(([check, outcome]) => (outcome === 'ok' ? [] : [check]));
  const why = failed.length > 0 ? ` (${failed.join(', ')})` : '';
  return broken(
    `The gateway (${who}) is ${body.status || `answering ${status}`}${why}.`,
    body.status === 'draining'
      ? 'It is on its way out: try again in half a minute.'
      : `\`frame health ${id}\` shows how the other slot is. If that is ready, \`frame rollback ${id}\` goes back to it; if both fail alike, it is Postgres on the machine, and no release mends that.`,
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
