import type { Place } from '../../database/place.ts';
import { FrameError } from '../../errors.ts';
import { PLAN_AGAIN } from '../../tables/schema/stored-plan.ts';
import { type Call, callerKey } from '../tool.ts';

/** A plan's id, sealed for the one person and place that it was made for; short, since a model has to copy it. */
export function sealPlan({ caller, place, means }: Call, id: string): string {
  return means.keyring.seal('plan', bindingOf(callerKey(caller), place), { id });
}

/** The id; throws `plan/invalid` alike for a token that was altered, made up, or made for somebody or somewhere else. */
export function openPlan({ caller, place, means }: Call, token: string): string {
  const payload = means.keyring.open('plan', bindingOf(callerKey(caller), place), token);
  if (typeof payload === 'object' && payload !== null && 'id' in payload) return String(payload.id);
  throw new FrameError('plan/invalid', 'This is no plan of yours for these tables.', PLAN_AGAIN);
}

// Private

function bindingOf(caller: string, { customer, entity, environment }: Place): string {
  return JSON.stringify([caller, customer, entity, environment]);
}
