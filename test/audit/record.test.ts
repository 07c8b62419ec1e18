import { describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../src/audit/audit.ts';
import { columnsOf, toRow } from '../../src/audit/record.ts';

const id = '01a1f8a9-e23e-77ac-ae76-f74d1b2bbcd8';
const entry: AuditEntry = {
  at: 1_795_173_245_502,
  requestId: 'r-1',
  customer: 'axe',
  entity: 'studio',
  actor: { tenantId: 'tenant', objectId: 'object', name: 'Ånna Berg', username: 'Anna@axellc.com' },
  tool: 'select_rows',
  phase: 'call',
  outcome: 'ok',
  arguments: { table: 'invoices' },
};

describe('the record', () => {
  test('is canonical and carries its id', () => {
    expect(toRow(entry, id).record).toBe(
      '{"actor":{"name":"Ånna Berg","objectId":"object","tenantId":"tenant","username":"Anna@axellc.com"},' +
        '"arguments":{"table":"invoices"},"at":1795173245502,"customer":"axe","entity":"studio",' +
        `"id":"${id}","outcome":"ok","phase":"call","requestId":"r-1","tool":"select_rows"}`,
    );
  });

  test('of a big argument keeps the beginning and says so', () => {
    const { record } = toRow({ ...entry, arguments: { note: `${'😀'.repeat(2_500_000)}` } }, id);
    expect(Buffer.byteLength(record)).toBeLessThanOrEqual(16 * 1024);
    const { arguments: summary, ...rest } = JSON.parse(record);
    expect(summary).toEqual({ cut: true, bytes: 10_000_011, beginning: expect.stringMatching(/^\{"note":"😀{900,}/u) });
    expect(rest).toMatchObject({ id, tool: 'select_rows', outcome: 'ok' });
  });

  test('of hostile names is bounded and whole', () => {
    const long = '\u0001'.repeat(1_000_000);
    const actor = { tenantId: long, objectId: long, name: long, username: long };
    const { record } = toRow(
      { ...entry, actor, client: long, tool: long, code: long, requestId: long, arguments: { long } },
      id,
    );
    expect(Buffer.byteLength(record)).toBeLessThanOrEqual(16 * 1024);
    expect(JSON.parse(record).client).toBe('\u0001'.repeat(200));
  });

  test('takes no fact from the prototype', () => {
    const { record } = toRow({ ...entry, arguments: JSON.parse('{"__proto__":{"customer":"other"}}') }, id);
    expect(JSON.parse(record).customer).toBe('axe');
    expect(record).toContain('"arguments":{"__proto__":{"customer":"other"}}');
  });
});

describe('its columns', () => {
  test('repeat what is searched for', () => {
    const { record, call_id: _, ...columns } = toRow(entry, id);
    expect(columns).toEqual({
      chain: 'axe/studio',
      id,
      at: '1795173245502',
      customer: 'axe',
      entity: 'studio',
      request_id: 'r-1',
      actor: 'anna@axellc.com\nånna berg\nobject',
      tool: 'select_rows',
      phase: 'call',
      outcome: 'ok',
    });
    expect(columnsOf(record)).toEqual(columns);
  });

  test('of a call without an entity name the chain that no entity can have', () => {
    const { chain, entity, actor } = toRow({ ...entry, entity: undefined, actor: { system: 'Scheduler' } }, id);
    expect({ chain, entity, actor }).toEqual({ chain: 'axe/-', entity: null, actor: 'scheduler' });
  });

  test.each(['', 'null', '7', '[]', '{}', '{"actor":null}'])('do not exist for %j', text => {
    expect(() => columnsOf(text)).toThrow();
  });
});
