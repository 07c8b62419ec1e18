import { FrameError, unavailable } from '../errors.ts';

/**
 * Why somebody does not get in. Inside every reason has its own name, for our log; outside they collapse, so that a
 * prober learns nothing.
 */
export interface Refusal {
  refused: Reason;
  /** For our log only. */
  detail?: string;
}

export type Reason =
  | 'credential-missing'
  | 'credential-malformed'
  | 'credential-twice'
  | 'credential-in-url'
  | 'api-key-unknown'
  | 'too-many-bad-keys'
  | 'token-too-large'
  | 'token-malformed'
  | 'token-unknown'
  | 'tokens-unreachable'
  | 'revoked'
  | 'header-forbidden'
  | 'wrong-algorithm'
  | 'wrong-type'
  | 'key-id-missing'
  | 'key-unknown'
  | 'keys-unreachable'
  | 'signature-wrong'
  | 'claim-malformed'
  | 'wrong-issuer'
  | 'wrong-version'
  | 'wrong-tenant'
  | 'wrong-customer'
  | 'wrong-audience'
  | 'wrong-nonce'
  | 'expired'
  | 'not-yet-valid'
  | 'app-only'
  | 'scope-absent'
  | 'scope-missing'
  | 'guest'
  | 'no-access-rule'
  | 'role-unknown';

/** What the caller gets to see. `retryAfterSeconds`: when it makes sense to ask for unreachable keys again. */
export function errorOf({ refused, detail }: Refusal, retryAfterSeconds: number): FrameError {
  const facts = { detail: detail ? `${refused}: ${detail}` : refused };
  switch (refused) {
    case 'credential-missing':
      return new FrameError('access/token-missing', 'Sign in to use this resource.', {
        ...facts,
        hint: 'Send an access token in the Authorization header, as `Bearer <token>`, or an API key as X-API-Key.',
      });
    case 'credential-twice':
      return new FrameError('access/credential-twice', 'The request carries more than one credential.', {
        ...facts,
        hint: 'Send at most one Authorization header with one Bearer token, and at most one API key.',
      });
    case 'credential-in-url':
      return new FrameError('access/credential-in-url', 'The address carries a credential.', {
        ...facts,
        hint:
          'Send it in the Authorization header. Addresses end up in logs: treat this credential as lost. ' +
          'An API key is revoked at once.',
      });
    case 'api-key-unknown':
      return new FrameError('access/token-invalid', 'The API key is invalid.', {
        ...facts,
        hint: 'Ask the operator of Frame for a new one.',
      });
    case 'too-many-bad-keys':
      return new FrameError('limit/requests', 'Too many wrong API keys came from your address.', {
        ...facts,
        retryable: true,
        retryAfterSeconds: 60,
        hint: 'Wait a minute.',
      });
    case 'credential-malformed':
    case 'token-too-large':
    case 'token-malformed':
    case 'token-unknown':
    case 'revoked':
    case 'header-forbidden':
    case 'wrong-algorithm':
    case 'wrong-type':
    case 'key-id-missing':
    case 'key-unknown':
    case 'signature-wrong':
    case 'claim-malformed':
    case 'wrong-issuer':
    case 'wrong-version':
    case 'wrong-tenant':
    case 'wrong-customer':
    case 'wrong-nonce':
    case 'not-yet-valid':
    case 'app-only':
    case 'scope-absent':
      return new FrameError('access/token-invalid', 'The access token is invalid.', { ...facts, hint: SIGN_IN_AGAIN });
    case 'expired':
      return new FrameError('access/token-invalid', 'The access token is expired.', { ...facts, hint: SIGN_IN_AGAIN });
    case 'wrong-audience':
      return new FrameError('access/token-invalid', 'The access token is not meant for this resource.', {
        ...facts,
        hint: SIGN_IN_AGAIN,
      });
    case 'scope-missing':
      return new FrameError('access/scope-missing', 'The access token lacks the scope that this resource needs.', {
        ...facts,
        hint: 'Sign in again and agree to the scope that the challenge names.',
      });
    case 'guest':
    case 'no-access-rule':
    case 'role-unknown':
      return new FrameError('access/not-admitted', 'You are signed in, but not admitted here.', {
        ...facts,
        hint: 'Ask whoever looks after Frame in your company to add an access rule for you.',
      });
    case 'tokens-unreachable':
      return unavailable('Sign-ins cannot be checked now.', facts);
    case 'keys-unreachable':
      return unavailable('Sign-ins cannot be checked now.', { ...facts, retryAfterSeconds });
  }
}

// Private

const SIGN_IN_AGAIN = 'Sign in again.';
