import type { Context } from 'hono';
import type { Asked, Broker, Site } from '../broker/routes.ts';
import { FrameError } from '../errors.ts';
import { readForm, readJson } from './limits.ts';
import { type Env, siteOf, visitorOf } from './manners.ts';

/** The authorization server as handlers of app.ts. At origins without customers who sign in this way it is not there. */
export function createSignIn(broker: Broker) {
  /** A look at the headers (a link preview) begins no sign-in and ends none. */
  const page = (handle: (asked: Asked) => Promise<Response>) => async (c: Context<Env>) => {
    const asked = await ask(c);
    return c.req.raw.method === 'HEAD' ? c.body(null) : handle(asked);
  };

  /** Programs read OAuth errors only, whatever goes wrong. */
  const endpoint = (handle: (c: Context<Env>) => Promise<Response>) => (c: Context<Env>) => {
    brokerSiteOf(c);
    return withoutQuery(c, handle).catch(broker.refuse);
  };

  return {
    /** Throws `args/no-such-route` at an origin where nobody signs in this way. */
    requireHere: (c: Context<Env>) => void brokerSiteOf(c),
    metadata: (c: Context<Env>) => c.json(broker.metadata(brokerSiteOf(c)), 200, { 'Cache-Control': 'max-age=300' }),
    authorize: page(broker.authorize),
    consent: page(broker.consent),
    callback: page(broker.callback),
    token: endpoint(async c => broker.token(await ask(c))),
    revoke: endpoint(async c => broker.revoke(await ask(c))),
    register: endpoint(async c => {
      const body = await readJson(c.env.incoming, MAX_BODY_BYTES);
      return broker.register({ body, from: visitorOf(c) });
    }),
  };
}

// Private

const MAX_BODY_BYTES = 16_384;

/** Addresses end up in logs: what is said to these endpoints is said in the body (RFC 6749 §2.3.1). */
async function withoutQuery(c: Context<Env>, handle: (c: Context<Env>) => Promise<Response>): Promise<Response> {
  if (new URL(c.req.raw.url).search === '') return handle(c);
  throw new FrameError('access/credential-in-url', 'This address takes no query.', { hint: 'Send it in the body.' });
}

async function ask(c: Context<Env>): Promise<Asked> {
  const site = brokerSiteOf(c);
  const { headers, url, method } = c.req.raw;
  const parameters = method === 'POST' ? await readForm(c.env.incoming, MAX_BODY_BYTES) : new URL(url).searchParams;
  return { headers, parameters, site, requestId: c.var.requestId, from: visitorOf(c) };
}

function brokerSiteOf(c: Context<Env>): Site {
  const { origin, customers } = siteOf(c);
  const theirs = customers.filter(({ signIn }) => signIn === 'broker');
  if (theirs.length > 0) return { origin, customers: theirs };
  throw new FrameError('args/no-such-route', 'There is nothing at this address.');
}
