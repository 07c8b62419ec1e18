import { setTimeout as pass } from 'node:timers/promises';
import { type Child, runToEnd, startChild } from './child.ts';
import { anyItem, createTable, ITEMS, type Item, type ItemsTable, itemOf, selectOf, TABLE } from './items.ts';
import type { Asking } from './load.ts';
import { meterOf } from './processes.ts';
import type { Stage } from './stage.ts';
import { bodyOf, type Era, headersOf } from './tool-call.ts';

/** `frame serve` as it is in production: real tokens, the entity's own login, audit, log at `info`. */
export function startFrame(stage: Stage, asking: Asking, nodeOptions: readonly string[] = []): Promise<Child> {
  const { folder, env, program } = stage;
  return startChild({ program: process.execPath, args: [...nodeOptions, program, 'serve'], env, folder }, asking);
}

export function askForContext(stage: Stage): Asking {
  return askFrame(stage, 'modern', 'get_context', () => ({ args: {}, expect: '"customer"' }));
}

export function askForItem(
  stage: Stage,
  { era = 'modern', table = TABLE }: { era?: Era; table?: ItemsTable } = {},
): Asking {
  return askFrame(stage, era, 'select_rows', () => {
    const { number, name } = anyItem();
    const args = { table, columns: ['number', 'name', 'price'], where: { number }, limit: 1 };
    return { args, expect: name };
  });
}

/** Every query is another text, as callers write them. */
export function askBySql(stage: Stage): Asking {
  return askFrame(stage, 'modern', 'run_sql', () => {
    const { number, name } = anyItem();
    return { args: { sql: selectOf(number) }, expect: name };
  });
}

export function askToInsert(stage: Stage, nextItem: () => Item, table: ItemsTable = TABLE): Asking {
  return askFrame(stage, 'modern', 'insert_rows', () => ({
    args: { table, rows: [nextItem()] },
    expect: '"count":1',
  }));
}

/** Creates the tables and fills them, through the door like everybody. */
export async function fillTables(stage: Stage, tables: readonly ItemsTable[] = [TABLE]): Promise<void> {
  await using _frame = await startFrame(stage, askForContext(stage));
  for (const table of tables) {
    const { plan } = await use(stage, 'plan_change', { changes: [createTable(table)] });
    await use(stage, 'apply_change', { plan });
    for (let first = 1; first <= ITEMS; first += ROWS_AT_ONCE) {
      const rows = Array.from({ length: ROWS_AT_ONCE }, (_, i) => itemOf(first + i));
      await use(stage, 'insert_rows', { table, rows });
    }
  }
}

/** As many API keys as there are people, from the command that operators use. */
export async function createKeys({ folder, env, program, tokens }: Stage): Promise<string[]> {
  const keys: string[] = [];
  for (const i of tokens.keys()) {
    const args = ['keys', 'create', 'shop', '--role', 'admin', '--name', `script ${i}`, '--json'];
    keys.push(JSON.parse(await runToEnd(process.execPath, [program, ...args], folder, env)).key);
  }
  return keys;
}

export interface ColdStart {
  /** From spawn to the first good answer. */
  milliseconds: number;
  /** A second after that answer. */
  idleRssMb: number;
}

export async function startCold(stage: Stage): Promise<ColdStart> {
  const started = performance.now();
  await using frame = await startFrame(stage, askForItem(stage));
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
