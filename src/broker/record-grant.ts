import type { SignInSession } from '../access/session.ts';
import type { Asked } from './asked.ts';
import type { RecordParts } from './record.ts';
import type { TokenRequest } from './token-endpoint.ts';

/** What came of a code or token, for the audit of the customer and for our log; neither code nor token is in it. */
export interface GrantStep {
  tool: TokenRequest['tool'] | 'sign_in.revoke';
  session: SignInSession | undefined;
  scopes: readonly string[] | undefined;
  /** Why it was refused. */
  reason?: string;
}

/** Resolves when the step is durably recorded. */
export type RecordGrant = (asked: Asked, step: GrantStep) => Promise<void>;

export function createRecordGrant({ audit, observe, now }: RecordParts): RecordGrant {
  return async ({ requestId }, { tool, session, scopes, reason }) => {
    const outcome = reason === undefined ? 'ok' : 'refused';
    observe({
      kind: 'sign-in',
      requestId,
      customer: session?.customer,
      step: tool,
      outcome,
      reason,
      detail: session?.id,
    });
    if (!session) return;
    const { id, customer, person, client } = session;
    const { tenantId, objectId, name, username } = person;
    await audit.append({
      at: now(),
      requestId,
      customer,
      actor: { tenantId, objectId, name, username },
      client: client.name,
      tool,
      phase: 'call',
      outcome,
      arguments: { session: id, client_id: client.id, scopes, ...(reason && { reason }) },
    });
  };
}
