import type { Privacy } from '../../tables/privacy.ts';
import type { Call } from '../tool.ts';

/** What a call may see of personal data. */
export function privacyOf({ caller, place, means }: Call): Privacy {
  return { keys: means.dataKeys, place, mayRead: caller.rights?.has('pii:read') === true };
}
