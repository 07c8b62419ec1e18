import { setTimeout as pass } from 'node:timers/promises';
import { type Child, startChild } from './child.ts';
import { anyItem, CREATE_TABLE, ITEMS, type Item, itemOf, TABLE } from './items.ts';
import type { Asking } from './load.ts';
import { meterOf } from './processes.ts';
import { FRAME, type Stage } from './stage.ts';
import { bodyOf, type Era, headersOf } from './tool-call.ts';

/** `frame serve` as it is in production: real tokens, the entity's own login, audit, log at `info`. */
export function startFrame(stage: Stage, asking: Asking, nodeOptions: readonly string[] = []): Promise<Child> {
  const { folder, env } = stage;
  return startChild({ program: process.execPath, args: [...nodeOptions, FRAME, 'serve'], env, folder }, asking);
}

export function askForContext(stage: Stage): Asking {
  return askFrame(stage, 'modern', 'get_context', () => ({ args: {}, expect: '"customer"' }));
}

export function askForItem(stage: Stage, era: Era): Asking {
  return askFrame(stage, era, 'select_rows', () => {
    const { number, name } = anyItem();
    const args = { table: TABLE, columns: ['number', 'name', 'price'], where: { number }, limit: 1 };
    return { args, expect: name };
  });
}

export function askToInsert(stage: Stage, nextItem: () => Item): Asking {
  return askFrame(stage, 'modern', 'insert_rows', () => ({
    args: { table: TABLE, rows: [nextItem()] },
    expect: '"count":1',
  }));
}

/** Creates the table and fills it, through the door like everybody. */
export async function fillTable(stage: Stage): Promise<void> {
  await using _frame = await startFrame(stage, askForContext(stage));
  const { plan } = await use(stage, 'plan_change', { changes: [{ create_table: CREATE_TABLE }] });
  await use(stage, 'apply_change', { plan });
  for (let first = 1; first <= ITEMS; first += ROWS_AT_ONCE) {
    const rows = Array.from({ length: ROWS_AT_ONCE }, (_, i) => itemOf(first + i));
    await use(stage, 'insert_rows', { table: TABLE, rows });
  }
}

export interface ColdStart {
  /** From spawn to the first good answer. */
  milliseconds: number;
  /** A second after that answer. */
  idleRssMb: number;
}

export async function startCold(stage: Stage): Promise<ColdStart> {
  const started = performance.now();
  await using frame = await startFrame(stage, askForItem(stage, 'modern'));
  const milliseconds = performance.now() - started;
  await pass(1000);
  return { milliseconds, idleRssMb: meterOf(frame.pid)().rssMb };
}

// Private

const ROWS_AT_ONCE = 500;

function askFrame(
  { origin, tokens }: Stage,
  era: Era,
  tool: string,
  nextCall: () => { args: object; expect: string },
): Asking {
  return {
    url: `${origin}/frame/mcp`,
    headers: tokens.map(token => headersOf(era, tool, token)),
    next() {
      const { args, expect } = nextCall();
      return { body: bodyOf(era, tool, args), expect };
    },
  };
}

async function use({ origin, tokens }: Stage, tool: string, args: object): Promise<Record<string, unknown>> {
  const headers = headersOf('modern', tool, tokens[0]);
  const response = await fetch(`${origin}/frame/mcp`, { method: 'POST', headers, body: bodyOf('modern', tool, args) });
  const text = await response.text();
  const { result } = JSON.parse(text);
  if (!result || result.isError) throw new Error(`${tool}: ${response.status} ${text.slice(0, 500)}`);
  return result.structuredContent;
}
