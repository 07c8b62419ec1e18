import type { Customer } from '../customers/customer.ts';
import type { StandInEntra } from './entra/stand-in-entra.ts';
import type { StandInPerson } from './entra/tenant.ts';
import { createHeadlessSignIn } from './headless-sign-in.ts';

/** What a sample person can send as a Bearer token at their company's origin; undefined when they are not let in. */
export interface TokenRequest {
  customer: Customer;
  origin: string;
  person: StandInPerson;
}

/** As the customer's sign_in says: from the stand-in itself, or by signing in at the gateway, which must run for that. */
export function createSampleTokens(entra: Pick<StandInEntra, 'mint'>, clientName: string) {
  const signIns = new Map<string, ReturnType<typeof createHeadlessSignIn>>();
  return async ({ customer, origin, person }: TokenRequest): Promise<string | undefined> => {
    if (customer.signIn === 'direct') return entra.mint(person.username);
    const signingIn = signIns.get(origin) ?? createHeadlessSignIn({ origin, clientName });
    signIns.set(origin, signingIn);
    const signIn = await signingIn;
    return signIn(person.objectId);
  };
}
