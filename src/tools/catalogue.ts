import { getContext } from './about/get-context.ts';
import { searchAudit } from './audit/search-audit.ts';
import { deleteRows } from './data/delete-rows.ts';
import { describeTables } from './data/describe-tables.ts';
import { insertRows } from './data/insert-rows.ts';
import { reveal } from './data/reveal.ts';
import { runSql } from './data/run-sql.ts';
import { selectRows } from './data/select-rows.ts';
import { updateRows } from './data/update-rows.ts';
import { applyChange } from './schema/apply-change.ts';
import { planChange } from './schema/plan-change.ts';
import type { Tool } from './tool.ts';

/** Every tool there is, in the order in which clients see them. */
export const CATALOGUE: readonly Tool[] = [
  getContext,
  describeTables,
  selectRows,
  runSql,
  reveal,
  insertRows,
  updateRows,
  deleteRows,
  planChange,
  applyChange,
  searchAudit,
];

export const TOOL_NAMES: ReadonlySet<string> = new Set(CATALOGUE.map(({ name }) => name));
