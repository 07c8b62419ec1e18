/** One thing that happened. A write leaves two entries: the intent before it, the outcome after it. */
export interface AuditEntry {
  /** Milliseconds since 1970. */
  at: number;
  /** Often the sender's word, so two calls may have the same. */
  requestId: string;
  /** Ours, a UUID. Intent and outcome of one call share it, and no other call does. */
  callId?: string;
  customer: string;
  entity?: string;
  environment?: string;
  actor: AuditActor;
  /** The key that came beside the person's token. */
  agent?: AuditKey;
  /** The client program, as it introduced itself. */
  client?: string;
  tool: string;
  phase: 'call' | 'intent' | 'outcome';
  outcome?: AuditOutcome;
  code?: string;
  /** A summary: shapes and names, never values of rows. */
  arguments?: Record<string, unknown>;
  rows?: number;
  milliseconds?: number;
}

export type AuditOutcome = 'ok' | 'refused' | 'error' | 'unknown';

export type AuditActor = AuditPerson | AuditKey | { system: string };

export interface AuditPerson {
  tenantId: string;
  objectId: string;
  name: string;
  username: string;
}

/** An API key by its id, which says nothing of its secret. */
export interface AuditKey {
  key: string;
  name: string;
}
