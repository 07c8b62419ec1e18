import type { Caller } from '../access/caller.ts';
import type { Door } from '../tools/door.ts';

/** What the sample companies own: made once, through the same door that everybody else uses. */
export interface SampleTable {
  entity: string;
  change: { create_table: { name: string; comment: string; columns: readonly object[] } };
  /** Rows to insert; `{ row: n, of: table }` stands for the id of the n-th row of a table above. */
  rows: readonly Record<string, unknown>[];
}

export interface RowReference {
  row: number;
  of: string;
}

export const SAMPLE_DATA: Readonly<Record<string, readonly SampleTable[]>> = {
  axe: [
    {
      entity: 'axe',
      change: {
        create_table: {
          name: 'clients',
          comment: 'Companies we work for',
          columns: [
            { name: 'name', type: 'text', required: true, unique: true },
            { name: 'city', type: 'text' },
            { name: 'since', type: 'date' },
            { name: 'active', type: 'boolean', required: true, default: true },
          ],
        },
      },
      rows: clients(),
    },
    {
      entity: 'axe',
      change: {
        create_table: {
          name: 'invoices',
          comment: 'What we asked our clients to pay',
          columns: [
            { name: 'number', type: 'text', required: true, unique: true },
            { name: 'client', type: 'reference', references: 'clients', required: true },
            { name: 'total', type: 'numeric', required: true, check: { min: 0 }, comment: 'In US dollars, with tax' },
            { name: 'due', type: 'date', required: true },
            { name: 'paid', type: 'boolean', required: true, default: false },
          ],
        },
      },
      rows: invoices(),
    },
    {
      entity: 'studio',
      change: {
        create_table: {
          name: 'projects',
          comment: 'What the studio works on',
          columns: [
            { name: 'title', type: 'text', required: true },
            { name: 'state', type: 'text', required: true, check: { one_of: ['idea', 'running', 'done'] } },
            { name: 'budget', type: 'integer' },
          ],
        },
      },
      rows: [
        { title: 'Title sequence', state: 'running', budget: 18000 },
        { title: 'Showreel 2026', state: 'idea', budget: null },
        { title: 'Sound library', state: 'done', budget: 4200 },
      ],
    },
  ],
  nordwind: [
    {
      entity: 'nordwind',
      change: {
        create_table: {
          name: 'products',
          comment: 'What we sell',
          columns: [
            { name: 'name', type: 'text', required: true, unique: true },
            { name: 'price', type: 'numeric', required: true, comment: 'In euros' },
            { name: 'in_stock', type: 'integer', required: true, default: 0 },
          ],
        },
      },
      rows: [
        { name: 'Chai', price: '18.00', in_stock: 39 },
        { name: 'Aniseed syrup', price: '10.00', in_stock: 13 },
        { name: 'Queso Cabrales', price: '21.00', in_stock: 22 },
        { name: 'Konbu', price: '6.00', in_stock: 24 },
      ],
    },
  ],
};

/** Makes the tables that are missing, in companies that have sample data; touches no table that is there. */
export async function loadSampleData(door: Door, callers: readonly Caller[]): Promise<void> {
  for (const caller of callers) {
    const ids = new Map<string, unknown[]>();
    for (const { entity, change, rows } of SAMPLE_DATA[caller.customer.id] ?? []) {
      const call = (tool: string, args: object) => use(door, caller, tool, withPlace(caller, entity, args));
      const { name } = change.create_table;
      const { tables } = await call('describe_tables', { detail: 'names' });
      if (JSON.stringify(tables).includes(`"${name}"`)) continue;
      const { plan } = await call('plan_change', { changes: [change] });
      await call('apply_change', { plan });
      const inserted = await call('insert_rows', { table: name, rows: rows.map(row => resolve(row, ids)) });
      ids.set(name, inserted.ids as unknown[]);
    }
  }
}

// Private

async function use(door: Door, caller: Caller, tool: string, args: object): Promise<Record<string, unknown>> {
  const request = { requestId: 'npm-start', client: 'npm start', signal: new AbortController().signal };
  const outcome = await door.call(caller, tool, args, request);
  if (outcome.ok) return outcome.result;
  throw outcome.error;
}

function withPlace({ entities }: Caller, entity: string, args: object): object {
  return entities.length > 1 ? { entity, ...args } : args;
}

function resolve(row: Record<string, unknown>, ids: ReadonlyMap<string, unknown[]>): Record<string, unknown> {
  const value = (cell: unknown) => (isReference(cell) ? ids.get(cell.of)?.[cell.row] : cell);
  return Object.fromEntries(Object.entries(row).map(([name, cell]) => [name, value(cell)]));
}

function isReference(cell: unknown): cell is RowReference {
  return typeof cell === 'object' && cell !== null && 'row' in cell && 'of' in cell;
}

function clients(): Record<string, unknown>[] {
  const places = { Birchwood: 'Oslo', Calder: 'Leeds', Duarte: 'Porto', Ekman: 'Malmö', Fenn: 'Ghent', Gallo: 'Turin' };
  return Object.entries(places).map(([name, city], i) => ({
    name: `${name} & Co`,
    city,
    since: `20${18 + i}-0${1 + i}-15`,
    active: i !== 4,
  }));
}

/** Sixty of them, so that paging has something to turn. */
function invoices(): Record<string, unknown>[] {
  return Array.from({ length: 60 }, (_, i) => ({
    number: `2026-${String(i + 1).padStart(3, '0')}`,
    client: { row: i % 6, of: 'clients' } satisfies RowReference,
    total: (((i * 7919) % 90_000) / 10 + 120).toFixed(2),
    due: `2026-${String(1 + (i % 12)).padStart(2, '0')}-${String(1 + ((i * 5) % 28)).padStart(2, '0')}`,
    paid: i % 3 !== 0,
  }));
}
