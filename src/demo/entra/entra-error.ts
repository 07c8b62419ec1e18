/** A refusal in Entra's own words: the AADSTS number, the OAuth error that goes with it, and the sentence. */
export class EntraError extends Error {
  override readonly name = 'EntraError';
  readonly number: keyof typeof OAUTH_ERRORS;
  readonly oauthError: string;

  constructor(number: keyof typeof OAUTH_ERRORS, sentence: string) {
    super(`AADSTS${number}: ${sentence}`);
    this.number = number;
    this.oauthError = OAUTH_ERRORS[number];
  }

  /** Of an answer to the token request. */
  get status(): 400 | 401 {
    return this.oauthError === 'invalid_client' ? 401 : 400;
  }

  toBody(nowMs: number) {
    const timestamp = `${new Date(nowMs).toISOString().slice(0, 19).replace('T', ' ')}Z`;
    const traceId = crypto.randomUUID();
    const correlationId = crypto.randomUUID();
    return {
      error: this.oauthError,
      error_description: `${this.message} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
      error_codes: [this.number],
      timestamp,
      trace_id: traceId,
      correlation_id: correlationId,
    };
  }
}

// Private

const OAUTH_ERRORS = {
  50011: 'invalid_request',
  50034: 'invalid_grant',
  50058: 'login_required',
  50147: 'invalid_request',
  54005: 'invalid_grant',
  65001: 'invalid_grant',
  65004: 'access_denied',
  65005: 'invalid_resource',
  70000: 'invalid_grant',
  70003: 'unsupported_grant_type',
  70007: 'invalid_request',
  70008: 'invalid_grant',
  70011: 'invalid_scope',
  90002: 'invalid_request',
  90023: 'invalid_request',
  500112: 'invalid_grant',
  501481: 'invalid_grant',
  700016: 'unauthorized_client',
  700025: 'invalid_client',
  700054: 'unsupported_response_type',
  700082: 'invalid_grant',
  900144: 'invalid_request',
  7000215: 'invalid_client',
  7000218: 'invalid_client',
  9000411: 'invalid_request',
  9002313: 'invalid_grant',
  9002325: 'invalid_request',
  9002326: 'invalid_request',
  9002327: 'invalid_request',
  9010010: 'invalid_target',
} as const;
