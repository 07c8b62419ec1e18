import { z } from 'zod';
import { Changes, outlineChange } from '../../tables/schema/change.ts';
import { planChanges } from '../../tables/schema/plan.ts';
import { privacyOf } from '../data/privacy.ts';
import { callerKey, defineTool } from '../tool.ts';
import { sealPlan } from './plan-token.ts';

/** What changes to the tables would do, exactly, and a token to have it done. Nothing is changed. */
export const planChange = defineTool({
  name: 'plan_change',
  title: 'Plan a change of the tables',
  description:
    'Shows exactly what changes to tables would do: SQL, rows affected, warnings. Pass `plan` to apply_change before it expires.',
  kind: 'read',
  idempotent: true,
  untrusted: true,
  atPlace: true,
  input: z.strictObject({ changes: Changes.describe('in order, each with exactly one key') }),
  output: z.looseObject({
    statements: z.array(z.string()),
    rows_affected: z.number(),
    warnings: z.array(z.string()),
    plan: z.string(),
    expires_at: z.string(),
  }),
  summarize: ({ changes }) => ({ changes: changes.map(outlineChange) }),
  async run(call, { changes }) {
    const { caller, place, signal, means } = call;
    const { pools, catalog, dataKeys: keys, limits } = means;
    const { planMinutes, softDropDays } = limits;
    const { mayRead: mayUnseal } = privacyOf(call);
    const parts = { pools, catalog, keys, place, signal, planMinutes, softDropDays, mayUnseal, now: means.now() };
    const plan = await planChanges({ ...parts, caller: callerKey(caller) }, changes);
    return {
      result: {
        statements: plan.statements,
        rows_affected: plan.rowsAffected,
        warnings: plan.warnings,
        plan: sealPlan(call, plan.id),
        expires_at: new Date(plan.expiresAt).toISOString(),
        ...(plan.restorable.length > 0 && { restorable: plan.restorable }),
      },
    };
  },
});
