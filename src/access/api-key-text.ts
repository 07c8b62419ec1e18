import { hash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * `frame_{role}_{id}{secret}{checksum}`: a name that scanners find, 10 letters that name the key in our table, 32 that
 * only its owner knows (190 bits), and 6 that tell a slip of the pen, and nearly every guess, from a key without a look
 * into the database. The role in it is a label for people; what counts is the table.
 */
export interface ApiKeyText {
  id: string;
  role: string;
  text: string;
}

export function makeApiKeyText(role: string): ApiKeyText {
  const id = randomLetters(ID_LENGTH);
  const body = `frame_${role}_${id}${randomLetters(SECRET_LENGTH)}`;
  return { id, role, text: `${body}${checksumOf(body)}` };
}

/** Undefined for everything that cannot be a key of ours. */
export function readApiKeyText(text: string): ApiKeyText | undefined {
  const found = WHOLE.exec(text)?.groups;
  if (!found?.role || !found.id) return undefined;
  const body = text.slice(0, -CHECKSUM_LENGTH);
  return text.endsWith(checksumOf(body)) ? { id: found.id, role: found.role, text } : undefined;
}

/** The keys that stand somewhere in a text, such as an address that somebody put one into. */
export function findApiKeys(text: string): ApiKeyText[] {
  return [...text.matchAll(ANYWHERE)].flatMap(([candidate]) => readApiKeyText(candidate) ?? []);
}

/** As Postgres reads a bytea. Fast on purpose: nobody guesses 190 bits, and a slow hash would be a way to stall us. */
export function digestOfApiKey({ text }: ApiKeyText): string {
  return `\\x${hash('sha256', text, 'hex')}`;
}

// Private

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 10;
const SECRET_LENGTH = 32;
const CHECKSUM_LENGTH = 6;
const PATTERN = 'frame_(?<role>[a-z][a-z0-9-]{0,30})_(?<id>[0-9A-Za-z]{10})[0-9A-Za-z]{38}';
const WHOLE = new RegExp(`^${PATTERN}$`);
const ANYWHERE = new RegExp(`${PATTERN}(?![0-9A-Za-z])`, 'g');

function randomLetters(length: number): string {
  return Array.from({ length }, () => LETTERS[randomInt(LETTERS.length)]).join('');
}

function checksumOf(body: string): string {
  let rest = crc32(body);
  let letters = '';
  for (let i = 0; i < CHECKSUM_LENGTH; i += 1) {
    letters = `${LETTERS[rest % LETTERS.length]}${letters}`;
    rest = Math.floor(rest / LETTERS.length);
  }
  return letters;
}
