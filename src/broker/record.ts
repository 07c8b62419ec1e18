import type { Person } from '../access/caller.ts';
import type { AuditLog } from '../audit/audit.ts';
import type { Observe } from '../observe.ts';
import type { Asked } from './asked.ts';
import type { SignInRequest } from './sign-ins.ts';

/** One step of a sign-in, for the audit of the customer and for our log. No code, token, state or verifier is in it. */
export interface Step {
  tool: 'sign_in.start' | 'sign_in.consent' | 'sign_in.done' | 'sign_in.refused';
  signIn: SignInRequest;
  /** Who it is, once that is known. */
  person?: Person;
  /** Agreed to. */
  scopes?: readonly string[];
  /** Why it was refused. */
  reason?: string;
  /** For our log only. */
  detail?: string | undefined;
}

/** Resolves when the step is durably recorded: nothing goes on before. */
export type RecordStep = (asked: Asked, step: Step) => Promise<void>;

export interface RecordParts {
  audit: Pick<AuditLog, 'append'>;
  observe: Observe;
  /** Milliseconds since 1970. */
  now(): number;
}

export function createRecordStep({ audit, observe, now }: RecordParts): RecordStep {
  return async ({ requestId }, { tool, signIn, person, scopes = signIn.scopes, reason, detail }) => {
    const { customer } = signIn;
    const outcome = reason === undefined ? 'ok' : 'refused';
    observe({ kind: 'sign-in', requestId, customer, step: tool, outcome, reason, detail });
    // Before the work e-mail has told which customer, there is no chain to write to.
    if (customer === undefined) return;
    await audit.append({
      at: now(),
      requestId,
      customer,
      actor: person ?? { system: 'sign-in' },
      client: signIn.clientName,
      tool,
      phase: 'call',
      outcome,
      ...(reason === 'not-admitted' && { code: 'access/not-admitted' }),
      arguments: {
        client_id: signIn.clientId,
        redirect_host: new URL(signIn.redirectUri).host,
        scopes,
        ...(reason && { reason }),
      },
    });
  };
}
