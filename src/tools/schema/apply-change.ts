import { z } from 'zod';
import { applyPlan } from '../../tables/schema/apply.ts';
import { privacyOf } from '../data/privacy.ts';
import { callerKey, defineTool } from '../tool.ts';
import { openPlan } from './plan-token.ts';

/** Does exactly what a plan said, as a new version of the schema, or refuses. */
export const applyChange = defineTool({
  name: 'apply_change',
  title: 'Apply a planned change',
  description:
    'Does exactly what plan_change showed, all or nothing. A plan works once and only while the tables stay as they were.',
  kind: 'destructive',
  idempotent: false,
  atPlace: true,
  input: z.strictObject({ plan: z.string().describe('token of plan_change, copied exactly') }),
  output: z.looseObject({ version: z.number(), done: z.array(z.string()) }),
  summarize: () => ({}),
  async run(call, { plan }) {
    const { caller, place, signal, means } = call;
    const { pools, catalog } = means;
    const { version, done } = await applyPlan({
      pools,
      catalog,
      keys: means.dataKeys,
      place,
      signal,
      planId: openPlan(call, plan),
      caller: callerKey(caller),
      author: `${caller.person.name} (${caller.person.objectId})`,
      now: means.now(),
      softDropDays: means.limits.softDropDays,
      mayUnseal: privacyOf(call).mayRead,
    });
    return { result: { version, done }, done: { version, done } };
  },
});
