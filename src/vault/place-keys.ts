import { createHmac, hkdfSync } from 'node:crypto';
import type { Place } from '../database/place.ts';
import { decrypt, encrypt, SEALED_OVERHEAD_BYTES } from './aead.ts';
import { framed } from './framed.ts';
import { NORMALIZE_VERSION, normalize } from './normalize.ts';
import type { PiiKind } from './pii-kind.ts';

/** Where keys belong: the names that the registry never changes. */
export type KeyPlace = Pick<Place, 'customer' | 'entity' | 'environment'>;

/** A column by the ids it was given when it was sealed: they outlive every rename. */
export interface SealedColumnId {
  tableId: string;
  columnId: string;
}

/** One value of it: `rowId` is the row's own id. All three are UUIDs. */
export interface CellId extends SealedColumnId {
  rowId: string;
}

/** A cell was opened, or why it was not: nobody may take a broken one for an empty one. */
export type Opened = { text: string } | { broken: 'malformed' | 'unknown-key' | 'altered' };

/**
 * The keys of one place, unwrapped. A cell is `version(1) kid(4) nonce(12) text tag(16)`, bound to the place, the column
 * and the row that it was sealed for: moved to any other, it does not open.
 */
export interface PlaceKeys {
  /** Throws when no key of this place seals any more. */
  seal(cell: CellId, text: string): Buffer;
  open(cell: CellId, sealed: Buffer): Opened;
  /** Whether the key that a cell names is here; malformed cells name none. */
  knows(sealed: Buffer): boolean;
  /** 16 bytes, equal for spellings of one value in one column, and for nothing else. Leaks nothing but equality. */
  blind(column: SealedColumnId, kind: PiiKind, text: string): Buffer;
  /** A keyed digest for what is kept beside the data, so that it dies with the keys. */
  digest(text: string): string;
}

export interface CellKey {
  kid: number;
  key: Buffer;
  /** Seals new cells; one at most. */
  isCurrent: boolean;
}

export interface KeySet {
  cells: readonly CellKey[];
  index: Buffer | undefined;
}

/** `without` is thrown by whatever needs a key that is not in the set. */
export function createPlaceKeys(place: KeyPlace, { cells, index }: KeySet, without: () => Error): PlaceKeys {
  const byKid = new Map(cells.map(cell => [cell.kid, cell]));
  const current = cells.find(({ isCurrent }) => isCurrent);
  const subkeys = new Map<string, Buffer>();
  const columns = new Map<string, CellCipher>();

  function subkeyOf(name: string, key: Buffer, label: Buffer): Buffer {
    const known = subkeys.get(name) ?? Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), label, 32));
    subkeys.set(name, known);
    return known;
  }

  /** What all cells of a column share that one key has sealed. */
  function cipherOf({ kid, key }: CellKey, { tableId, columnId }: SealedColumnId): CellCipher {
    const name = `${kid}/${tableId}/${columnId}`;
    const known = columns.get(name);
    if (known) return known;
    const head = headOf(kid);
    const [table, column] = [uuid(tableId), uuid(columnId)];
    const cipher = {
      head,
      key: Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), framed('pii', table, column), 32)),
      bound: framed('frame-pii', head, entityOf(place), place.environment, table, column),
    };
    columns.set(name, cipher);
    return cipher;
  }

  const indexKey = ({ tableId, columnId }: SealedColumnId) =>
    subkeyOf(
      `${tableId}/${columnId}`,
      requireIndex(),
      framed('bidx', `${NORMALIZE_VERSION}`, entityOf(place), uuid(tableId), uuid(columnId)),
    );

  function requireIndex(): Buffer {
    if (index) return index;
    throw without();
  }

  return {
    seal(cell, text) {
      if (!current) throw without();
      const cipher = cipherOf(current, cell);
      return Buffer.concat([cipher.head, encrypt(cipher.key, boundTo(cipher, cell), Buffer.from(text))]);
    },
    open(cell, sealed) {
      if (sealed.length < HEAD_BYTES + SEALED_OVERHEAD_BYTES || sealed[0] !== VERSION) return { broken: 'malformed' };
      const key = byKid.get(sealed.readUInt32BE(1));
      if (!key) return { broken: 'unknown-key' };
      const cipher = cipherOf(key, cell);
      const text = decrypt(cipher.key, boundTo(cipher, cell), sealed.subarray(HEAD_BYTES));
      return text ? { text: text.toString('utf8') } : { broken: 'altered' };
    },
    knows: sealed => sealed.length < HEAD_BYTES || byKid.has(sealed.readUInt32BE(1)),
    blind: (column, kind, text) =>
      createHmac('sha256', indexKey(column)).update(normalize(kind, text)).digest().subarray(0, BLIND_BYTES),
    digest: text =>
      createHmac('sha256', subkeyOf('digest', requireIndex(), framed('digest')))
        .update(text)
        .digest('base64url'),
  };
}

// Private

const VERSION = 1;
const HEAD_BYTES = 5;
const BLIND_BYTES = 16;

function headOf(kid: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(VERSION);
  head.writeUInt32BE(kid, 1);
  return head;
}

interface CellCipher {
  head: Buffer;
  key: Buffer;
  /** All that a cell is bound to but its row. */
  bound: Buffer;
}

function boundTo({ bound }: CellCipher, { rowId }: CellId): Buffer {
  return Buffer.concat([bound, framed(uuid(rowId))]);
}

/** Neither id contains a slash. */
function entityOf({ customer, entity }: KeyPlace): string {
  return `${customer}/${entity}`;
}

function uuid(text: string): Buffer {
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}
