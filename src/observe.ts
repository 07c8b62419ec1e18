import { pino } from 'pino';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Mistake } from './errors.ts';

/**
 * The things worth reporting. Rooms emit facts; this file alone decides what becomes a log line, a metric or both, and
 * it alone knows pino and prom-client.
 */
export type Observation =
  | { kind: 'started'; listen: string; customers: number; milliseconds: number }
  | { kind: 'draining'; signal: string }
  | { kind: 'stopped' }
  | { kind: 'request'; id: string; method: string; route: string; status: number; milliseconds: number }
  | {
      kind: 'tool-called';
      requestId: string;
      customer: string;
      entity: string | undefined;
      tool: string;
      outcome: 'ok' | 'refused' | 'error' | 'unknown';
      code: string | undefined;
      milliseconds: number;
      detail: string | undefined;
    }
  | { kind: 'access-refused'; requestId: string; reason: string }
  | {
      kind: 'sign-in';
      requestId: string;
      customer: string | undefined;
      step: string;
      outcome: 'ok' | 'refused' | 'error';
      reason: string | undefined;
      detail: string | undefined;
    }
  | { kind: 'keys-fetched'; tenant: string; keys: number }
  | { kind: 'keys-unreachable'; tenant: string; reason: string }
  | { kind: 'customers-reloaded'; customers: number }
  | { kind: 'customers-refused'; mistakes: readonly Mistake[] }
  | { kind: 'database-lost'; role: string; reason: string }
  | { kind: 'database-busy'; role: string }
  | { kind: 'database-given-up'; failures: number }
  | { kind: 'database-back'; milliseconds: number }
  | { kind: 'cells-broken'; place: string; column: string; reasons: readonly string[]; cells: number }
  | { kind: 'audit-flushed'; records: number; milliseconds: number }
  | { kind: 'audit-failed'; reason: string }
  | { kind: 'audit-checkpoint'; number: number; hash: string; signature: string }
  | { kind: 'audit-checkpoint-failed'; place: 'first' | 'second'; reason: string }
  | { kind: 'postgres'; event: string }
  | { kind: 'crash-averted'; where: string; error: unknown }
  | { kind: 'warning'; sentence: string };

/** Where a room reports facts. Never throws, never waits. */
export type Observe = (observation: Observation) => void;

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Observer {
  observe: Observe;
  /** All metrics in Prometheus text form. */
  metrics(): Promise<string>;
}

/** For tests and commands that have nobody to report to. */
export const observeNothing: Observe = () => {};

/** One JSON line on stderr per observation at or above `level`, and the metrics that belong to it. */
export function createObserver(level: LogLevel, labels: { slot?: string; release: string }): Observer {
  const log = pino(
    { level, base: { ...labels }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ dest: 2, sync: false }),
  );
  const metrics = createMetrics();
  return {
    observe(observation) {
      metrics.count(observation);
      log[severityOf(observation)](toLine(observation), observation.kind);
    },
    metrics: () => metrics.registry.metrics(),
  };
}

// Private

function severityOf(observation: Observation): 'debug' | 'info' | 'warn' | 'error' {
  switch (observation.kind) {
    case 'crash-averted':
    case 'audit-failed':
    case 'audit-checkpoint-failed':
    case 'cells-broken':
    case 'database-given-up':
      return 'error';
    case 'customers-refused':
    case 'keys-unreachable':
    case 'database-lost':
    case 'database-busy':
    case 'warning':
      return 'warn';
    case 'request':
    case 'audit-flushed':
    case 'keys-fetched':
    case 'postgres':
      return 'debug';
    case 'tool-called':
      return observation.outcome === 'error' && observation.code === 'internal' ? 'error' : 'info';
    default:
      return 'info';
  }
}

function toLine(observation: Observation): Record<string, unknown> {
  const { kind: _, ...rest } = observation;
  if (observation.kind !== 'crash-averted') return rest;
  const { error } = observation;
  return { where: observation.where, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

function createMetrics(): { registry: Registry; count: Observe } {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const calls = new Counter({
    name: 'frame_tool_calls_total',
    help: 'Tool calls by tool and outcome.',
    labelNames: ['tool', 'outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'frame_tool_call_seconds',
    help: 'Duration of a tool call behind the door.',
    labelNames: ['tool'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
    registers,
  });
  const requests = new Counter({
    name: 'frame_http_requests_total',
    help: 'HTTP answers by route and status.',
    labelNames: ['route', 'status'],
    registers,
  });
  const events = new Counter({
    name: 'frame_events_total',
    help: 'Everything else worth counting, by kind.',
    labelNames: ['kind'],
    registers,
  });
  const customers = new Gauge({ name: 'frame_customers', help: 'Customers in the registry in force.', registers });
  return {
    registry,
    count(observation) {
      switch (observation.kind) {
        case 'tool-called':
          calls.inc({ tool: observation.tool, outcome: observation.outcome });
          seconds.observe({ tool: observation.tool }, observation.milliseconds / 1000);
          return;
        case 'request':
          requests.inc({ route: observation.route, status: observation.status });
          return;
        case 'customers-reloaded':
        case 'started':
          customers.set(observation.customers);
          return;
        default:
          events.inc({ kind: observation.kind });
      }
    },
  };
}
