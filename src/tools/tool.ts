import type { z } from 'zod';
import type { Caller } from '../access/caller.ts';
import type { AuditLog } from '../audit/audit.ts';
import type { Right } from '../config/roles.ts';
import type { Place } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import type { SqlSessions } from '../database/sql-sessions.ts';
import type { Catalog } from '../tables/catalog.ts';
import type { DataKeys } from '../vault/data-keys.ts';
import type { Keyring } from '../vault/keyring.ts';

/**
 * Anything that can be done, declared apart from being run. The door (call-tool.ts) checks role and arguments, finds the
 * place and writes the audit; a tool only does its work. `entity` and `environment` are not part of `input`: the door
 * adds them for callers who have a choice, and takes them away again.
 */
export interface Tool<Input = unknown> {
  name: string;
  title: string;
  /** For the model: at most two short sentences, no tenant text. */
  description: string;
  kind: 'read' | 'write' | 'destructive';
  /** Without it nobody has the tool, whatever their role names. */
  right?: Right;
  /** The same call twice changes nothing more. */
  idempotent: boolean;
  /** Its answer holds text that others wrote: rows, comments, names of programs. */
  untrusted?: true;
  /** Works on one (entity, environment). */
  atPlace: boolean;
  input: z.ZodType<Input>;
  output: z.ZodType;
  /** What the audit keeps of the arguments: shapes and names, never values of rows. */
  summarize(args: Input, means: Means): Summary | Promise<Summary>;
  run(call: Call, args: Input): Promise<Answer>;
}

type Summary = Record<string, unknown>;

export interface Answer {
  result: Record<string, unknown>;
  /** Rows read or changed, for the audit. */
  rows?: number;
  /** What the audit keeps of what was done, beside the arguments: names and numbers, never values of rows. */
  done?: Record<string, unknown>;
}

/** One call, after the door: who, where, and what a tool may use. */
export interface Call {
  caller: Caller;
  /** Present when the tool is `atPlace`; asking for it otherwise is a defect. */
  place: Place;
  requestId: string;
  signal: AbortSignal;
  means: Means;
}

/** What tools work with. */
export interface Means {
  pools: Pools;
  /** Where queries of callers run. */
  sql: SqlSessions;
  catalog: Catalog;
  audit: AuditLog;
  keyring: Keyring;
  dataKeys: DataKeys;
  limits: ResultLimits;
  /** All there are, in order. */
  tools: readonly Pick<Tool, 'name' | 'right'>[];
  /** The role with the fewest rights that has the tool. */
  leastRoleFor(tool: string): string | undefined;
  /** Milliseconds since 1970. */
  now(): number;
}

export interface ResultLimits {
  defaultRows: number;
  maxRows: number;
  maxInsertRows: number;
  /** Of one answer to the model. */
  maxResultBytes: number;
  planMinutes: number;
  cursorMinutes: number;
  softDropDays: number;
}

/** Whether the role and the credential of a caller let them use a tool. */
export function mayUse({ tools, rights }: Caller, { name, right }: Pick<Tool, 'name' | 'right'>): boolean {
  return (tools.has('*') || tools.has(name)) && (right === undefined || rights?.has(right) === true);
}

/** Keeps the argument type of one tool while the catalogue holds them all alike. */
export function defineTool<Input>(tool: Tool<Input>): Tool<Input> {
  return tool;
}

/** Who may use what was sealed for them: one person of one tenant. */
export function callerKey({ person }: Caller): string {
  return `${person.tenantId}/${person.objectId}`;
}
