/** May this process get traffic, and what does an operator see of it. */
export interface HealthParts {
  facts: { customer: string | null; slot: string | null; release: string };
  checks: Readonly<Record<string, Check>>;
  /** The newest migration in force, as the database says. */
  migrations(): string | null;
  /** Numbers for operators only: pools, queues, ages. */
  depth(): Record<string, unknown>;
  isDraining(): boolean;
  /** Milliseconds that only go forward. */
  now(): number;
}

/** Resolves when all is well, else rejects with a sentence for operators. The signal says when nobody waits any more. */
export type Check = (signal: AbortSignal) => Promise<void>;

export interface Health {
  ready(): Promise<Report>;
  /** The same, with what failed and how deep the queues are. */
  inDepth(): Promise<Report>;
}

export interface Report {
  isReady: boolean;
  body: Record<string, unknown>;
}

export function createHealth(parts: HealthParts): Health {
  const { facts, checks, migrations, depth, isDraining, now } = parts;
  let running: Promise<Findings> | undefined;
  let last: { at: number; findings: Findings } | undefined;

  /** A flood of probes costs one round of checks a second. */
  async function findings(): Promise<Findings> {
    if (last && now() - last.at < FRESH_MS) return last.findings;
    running ??= runChecks(checks).then(found => {
      last = { at: now(), findings: found };
      running = undefined;
      return found;
    });
    return running;
  }

  async function ready(): Promise<Report> {
    const found = await findings();
    const isWell = Object.values(found).every(sentence => sentence === undefined);
    const status = isDraining() ? 'draining' : isWell ? 'ready' : 'not-ready';
    const outcome = Object.entries(found).map(([name, sentence]) => [name, sentence === undefined ? 'ok' : 'failed']);
    return {
      isReady: status === 'ready',
      body: { status, service: 'frame', ...facts, migrations: migrations(), checks: Object.fromEntries(outcome) },
    };
  }

  async function inDepth(): Promise<Report> {
    const { isReady, body } = await ready();
    return { isReady, body: { ...body, failures: await findings(), depth: depth() } };
  }

  return { ready, inDepth };
}

// Private

const FRESH_MS = 1000;
const CHECK_MS = 2000;

/** Check → what is wrong with it. */
type Findings = Record<string, string | undefined>;

async function runChecks(checks: HealthParts['checks']): Promise<Findings> {
  const found = await Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check)]));
  return Object.fromEntries(found);
}

/** What is wrong, in a sentence; undefined when nothing is. */
async function runCheck(check: Check): Promise<string | undefined> {
  const signal = AbortSignal.timeout(CHECK_MS);
  const late = Promise.withResolvers<string>();
  signal.addEventListener('abort', () => late.resolve(`no answer within ${CHECK_MS} ms`));
  const sentence = Promise.try(check, signal).then(
    () => undefined,
    thrown => String(thrown instanceof Error ? thrown.message : thrown),
  );
  return Promise.race([sentence, late.promise]);
}
