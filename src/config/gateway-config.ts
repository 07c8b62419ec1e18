import { z } from 'zod';
import type { Mistake } from '../errors.ts';
import { parseYaml } from '../yaml-file.ts';

/** The numbers of config/gateway.yaml, which explains each of them. What is left out has its default. */
const gatewaySchema = z.strictObject({
  results: section({
    default_rows: whole(50, 1),
    max_rows: whole(500, 1),
    max_insert_rows: whole(500, 1),
    max_result_bytes: whole(400_000, 10_000),
    plan_minutes: whole(10, 1),
    cursor_minutes: whole(60, 1),
    soft_drop_days: whole(7, 1),
  }).refine(({ default_rows, max_rows }) => default_rows <= max_rows, {
    error: 'must have a default_rows of at most max_rows',
  }),
  pools: section({
    own: whole(2, 1),
    rw: whole(4, 1),
    ro: whole(4, 1),
    total: whole(60, 1),
    acquire_timeout_ms: whole(300, 1),
    idle_seconds: whole(30, 1),
    max_lifetime_minutes: whole(30, 1),
    max_answer_bytes: whole(8_000_000, 100_000),
  }).refine(({ own, rw, ro, total }) => Math.max(own, rw, ro) <= total, {
    error: 'must have a total of at least own, rw and ro',
  }),
  http: section({
    max_body_bytes: whole(1_000_000, 1_000),
    headers_timeout_seconds: whole(10, 1),
    request_timeout_seconds: whole(30, 1),
    keep_alive_seconds: whole(75, 1),
    max_connections: whole(2_000, 1),
    drain_seconds: whole(25, 0),
  }).refine(
    ({ headers_timeout_seconds, request_timeout_seconds }) => headers_timeout_seconds <= request_timeout_seconds,
    {
      error: 'must have a headers_timeout_seconds of at most request_timeout_seconds',
    },
  ),
  calls: section({
    timeout_seconds: whole(60, 1, 100),
    max_concurrent: whole(200, 1),
  }),
  tokens: section({
    clock_leeway_seconds: whole(60, 0, 300),
    remembered: whole(10_000, 0),
    keys_max_age_minutes: whole(10, 1),
    keys_cooldown_seconds: whole(30, 1),
    keys_stale_hours: whole(24, 0),
  }),
  sign_in: section({
    transaction_minutes: whole(10, 1, 60),
    code_seconds: whole(60, 10, 600),
    access_minutes: whole(15, 1, 1_440),
    refresh_days: whole(30, 1),
    session_days: whole(90, 1),
    replay_seconds: whole(120, 0, 600),
    registrations_per_minute: whole(30, 1),
    starts_per_minute: whole(60, 1),
    upstream_timeout_seconds: whole(10, 1, 30),
  }).refine(({ refresh_days, session_days }) => refresh_days <= session_days, {
    error: 'must have a refresh_days of at most session_days',
  }),
  audit: section({
    flush_records: whole(500, 1),
    queue: whole(5_000, 1),
  }),
});

export type GatewayConfig = Camelled<z.output<typeof gatewaySchema>>;

export const DEFAULT_GATEWAY_CONFIG: GatewayConfig = toCamel(gatewaySchema.parse({}));

export function parseGatewayConfig(file: string, text: string): { value: GatewayConfig } | { mistakes: Mistake[] } {
  const parsed = parseYaml(file, text, gatewaySchema);
  return 'mistakes' in parsed ? parsed : { value: toCamel(parsed.value) };
}

// Private

function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape).prefault({} as z.input<z.ZodObject<T>>);
}

function whole(byDefault: number, least: number, most = Number.MAX_SAFE_INTEGER) {
  return z.int().min(least).max(most).default(byDefault);
}

type CamelCase<Name extends string> = Name extends `${infer Word}_${infer Rest}`
  ? `${Word}${Capitalize<CamelCase<Rest>>}`
  : Name;

/** `max_rows` in the file is `maxRows` in the code. */
type Camelled<T> = T extends object ? { [Name in keyof T as CamelCase<Name & string>]: Camelled<T[Name]> } : T;

function toCamel<T extends object>(section: T): Camelled<T> {
  const entries = Object.entries(section).map(([name, value]) => [
    name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
    typeof value === 'object' ? toCamel(value) : value,
  ]);
  return Object.fromEntries(entries) as Camelled<T>;
}
