import type { SessionFacts, SignInSession } from '../../src/access/session.ts';
import { issueTokens, type TokenPair } from '../../src/access/session-tokens.ts';
import { openSession, type Run, runOn } from '../../src/access/sessions.ts';
import type { Pools } from '../../src/database/pools.ts';
import { type AuditDatabase, openAuditDatabase } from '../audit/audit-database.ts';
import { NOW, OBJECT, TENANT } from './fixtures.ts';

/** The control database with somebody signed in, and a clock that stands still. */
export interface SignInDatabase extends AuditDatabase {
  run: Run;
  clock: { now: number };
  /** Ada, by default as a reader and writer, with tokens of 15 minutes and 30 days. */
  signIn(changes?: Partial<SessionFacts>): Promise<SignedIn>;
}

export interface SignedIn extends TokenPair {
  id: string;
  session: SignInSession;
}

export const RESOURCE = 'https://axe.example/frame/mcp';

export const ADA: SessionFacts = {
  customer: 'axe',
  person: {
    tenantId: TENANT,
    objectId: OBJECT,
    username: 'ada@axe.example',
    name: 'Ada Axe',
    groups: ['aaaaaaaa-0000-4000-8000-0000000000e1'],
    appRoles: ['Frame.Admin'],
    isGuest: false,
  },
  client: { id: 'client-1', name: 'Claude', host: 'claude.ai' },
  resource: RESOURCE,
  scopes: ['frame:read', 'frame:write'],
};

export const DAY_MS = 86_400_000;

export async function openSignInDatabase(passwordOf?: (role: string) => string): Promise<SignInDatabase> {
  const database = await openAuditDatabase(passwordOf);
  const run = runOn(database.pools);
  const clock = { now: NOW };
  return {
    ...database,
    run,
    clock,
    async signIn(changes = {}) {
      const facts = { ...ADA, ...changes };
      const expiresAt = clock.now + 90 * DAY_MS;
      const id = await openSession(run, facts, clock.now, expiresAt);
      const times = { createdAt: clock.now, lastUsedAt: clock.now, expiresAt };
      const session = { ...facts, id, ...times, isRevoked: false };
      const lives = { accessMinutes: 15, refreshDays: 30 };
      return { id, session, ...(await issueTokens(run, session, session.scopes, lives, clock.now)) };
    },
  };
}

/** Pools whose notifications a test can wait for, once whoever listens has dealt with them. */
export function audible(pools: Pools) {
  let heard = Promise.withResolvers<string>();
  let gap = Promise.withResolvers<void>();
  return {
    pools: {
      ...pools,
      listen: ((login, channel, onNotify, onGap) =>
        pools.listen(
          login,
          channel,
          payload => {
            onNotify(payload);
            heard.resolve(payload);
            heard = Promise.withResolvers();
          },
          () => {
            onGap();
            gap.resolve();
            gap = Promise.withResolvers();
          },
        )) satisfies Pools['listen'],
    },
    nextNotification: () => heard.promise,
    nextGap: () => gap.promise,
  };
}
