import { ask } from './loopback.ts';

/** What one slot has done since it started: requests, and calls of tools. What is asked of it by us is not counted. */
export interface Counts {
  requests: number;
  /** Answers of 5xx. */
  errors: number;
  calls: number;
  /** Calls that failed through no fault of the caller. */
  failures: number;
  tools: ReadonlyMap<string, { seconds: number; calls: number }>;
}

/** Undefined when nobody answers. */
export async function readCounts(port: number): Promise<Counts | undefined> {
  const answer = await ask(port, { path: '/frame/metrics' });
  return answer?.status === 200 ? countsIn(answer.body) : undefined;
}

export function countsIn(text: string): Counts {
  const counts = { requests: 0, errors: 0, calls: 0, failures: 0 };
  const tools = new Map<string, { seconds: number; calls: number }>();
  const toolOf = (name = '') => {
    const tool = tools.get(name) ?? { seconds: 0, calls: 0 };
    tools.set(name, tool);
    return tool;
  };
  for (const { name, labels, value } of readSamples(text)) {
    switch (name) {
      case 'frame_http_requests_total':
        if (OWN_ROUTES.has(labels.route ?? '')) break;
        counts.requests += value;
        if (labels.status?.startsWith('5')) counts.errors += value;
        break;
      case 'frame_tool_calls_total':
        counts.calls += value;
        if (labels.outcome === 'error' || labels.outcome === 'unknown') counts.failures += value;
        break;
      case 'frame_tool_call_seconds_sum':
        toolOf(labels.tool).seconds += value;
        break;
      case 'frame_tool_call_seconds_count':
        toolOf(labels.tool).calls += value;
    }
  }
  return { ...counts, tools };
}

/** What happened between the two; all of `later` when the slot was started anew meanwhile. */
export function between(earlier: Counts | undefined, later: Counts): Counts {
  if (!earlier || later.requests < earlier.requests || later.calls < earlier.calls) return later;
  const tools = [...later.tools].map(([name, { seconds, calls }]) => {
    const before = earlier.tools.get(name) ?? { seconds: 0, calls: 0 };
    return [name, { seconds: seconds - before.seconds, calls: calls - before.calls }] as const;
  });
  return {
    requests: later.requests - earlier.requests,
    errors: later.errors - earlier.errors,
    calls: later.calls - earlier.calls,
    failures: later.failures - earlier.failures,
    tools: new Map(tools),
  };
}

// Private

const OWN_ROUTES = new Set(['/frame/ready', '/frame/live', '/frame/health', '/frame/metrics']);

function* readSamples(text: string): Generator<{ name: string; labels: Record<string, string>; value: number }> {
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (!name) continue;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text]);
    yield { name, labels: Object.fromEntries(pairs), value: Number(value) };
  }
}
