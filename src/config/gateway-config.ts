import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { orDidYouMean } from '../did-you-mean.ts';
import type { Mistake } from '../errors.ts';
import { parseYaml, type Report } from '../yaml-file.ts';
import { type Camelled, section, toCamel, whole } from './section.ts';

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
  sql: section({
    per_caller: whole(1, 1),
    per_place: whole(3, 1),
    total: whole(12, 1),
    wait_ms: whole(1_000, 1, 30_000),
    max_answer_bytes: whole(2_000_000, 100_000),
  }).refine(({ per_place, total }) => per_place <= total, {
    error: 'must have a total of at least per_place',
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
  rates_per_minute: z
    .object({ caller: whole(120_000, 0), run_sql: whole(6_000, 0) })
    .catchall(z.int().min(0))
    .prefault({}),
  audit: section({
    flush_records: whole(500, 1),
    queue: whole(5_000, 1),
    second_place: z.string().refine(isAbsolute, { error: 'must be a folder as an absolute path' }).optional(),
    keep_months: whole(0, 0),
  }),
});

export type GatewayConfig = Camelled<Omit<Written, 'rates_per_minute'>> & {
  /** `caller`: all calls of one person or key; the other names are tools. 0: as often as they like. */
  ratesPerMinute: Readonly<Record<string, number>> & { caller: number };
};

export const DEFAULT_GATEWAY_CONFIG: GatewayConfig = toConfig(gatewaySchema.parse({}));

/** Without `toolNames` the names of tools are not checked. */
export function parseGatewayConfig(
  file: string,
  text: string,
  toolNames?: ReadonlySet<string>,
): { value: GatewayConfig } | { mistakes: Mistake[] } {
  const parsed = parseYaml(file, text, gatewaySchema, (tree, report) => {
    if (toolNames) reportUnknownTools(tree, toolNames, report);
    return tree;
  });
  return 'mistakes' in parsed ? parsed : { value: toConfig(parsed.value) };
}

// Private

type Written = z.output<typeof gatewaySchema>;

/** Names of tools stay as they are. */
function toConfig({ rates_per_minute: ratesPerMinute, ...sections }: Written): GatewayConfig {
  return { ...toCamel(sections), ratesPerMinute };
}

const Readable = z.object({ rates_per_minute: z.record(z.string(), z.unknown()) });

function reportUnknownTools(tree: unknown, toolNames: ReadonlySet<string>, report: Report): void {
  for (const tool of Object.keys(Readable.safeParse(tree).data?.rates_per_minute ?? {})) {
    if (tool === 'caller' || toolNames.has(tool)) continue;
    const guess = orDidYouMean(tool, [...toolNames]);
    report(['rates_per_minute', tool], written => `there is no tool ${written}${guess}`, 'key');
  }
}
