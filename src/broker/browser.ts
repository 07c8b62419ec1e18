import { randomBytes } from 'node:crypto';
import { digestOf } from '../access/secret-text.ts';
import type { Keyring } from '../vault/keyring.ts';

/**
 * The two cookies that tie a sign-in to one browser. The first comes with the page and authorises nothing; the second is
 * derived from it and given when the person agrees: only who has it may come back from Entra (CVE-2026-27124). One browser
 * keeps the same pair, so that several tabs, the back button and a double click all work.
 */
export interface Browser {
  /** Of the cookie that proves agreement, whether the browser has it yet or not. */
  proofHash: string;
  /** Set-Cookie for the page. */
  pageCookie: string;
  /** Set-Cookie for the answer to "Allow". */
  proofCookie: string;
}

/** The browser that a page is about to be shown in; a new one gets a new cookie. */
export function meetBrowser(headers: Headers, origin: string, means: CookieMeans): Browser {
  return browserOf(readCookie(headers, PAGE, origin) ?? newSecret(), origin, means);
}

/** The browser that saw a page of ours; undefined when it did not. */
export function knownBrowser(headers: Headers, origin: string, means: CookieMeans): Browser | undefined {
  const secret = readCookie(headers, PAGE, origin);
  return secret === undefined ? undefined : browserOf(secret, origin, means);
}

/** What a browser brings back from Entra, as a digest. */
export function proofOf(headers: Headers, origin: string): string | undefined {
  const proof = readCookie(headers, PROOF, origin);
  return proof === undefined ? undefined : digestOf(proof);
}

/** One text for a sign-in in the hands of a browser. */
export function holding(signInId: string, { proofHash }: Pick<Browser, 'proofHash'>): string {
  return `${signInId} ${proofHash}`;
}

export interface CookieMeans {
  keyring: Pick<Keyring, 'digest'>;
  maxAgeSeconds: number;
}

/** 256 bits, 43 characters base64url. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

// Private

const PAGE = 'frame-page';
const PROOF = 'frame-sign-in';

function browserOf(secret: string, origin: string, { keyring, maxAgeSeconds }: CookieMeans): Browser {
  const proof = keyring.digest('sign-in cookie', secret);
  const attributes = `Path=/; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax${isSecure(origin) ? '; Secure' : ''}`;
  return {
    proofHash: digestOf(proof),
    pageCookie: `${nameAt(origin, PAGE)}=${secret}; ${attributes}`,
    proofCookie: `${nameAt(origin, PROOF)}=${proof}; ${attributes}`,
  };
}

/** Undefined as well when there are two: somebody else than us has set one of them. */
function readCookie(headers: Headers, name: string, origin: string): string | undefined {
  const wanted = nameAt(origin, name);
  const pairs = (headers.get('cookie') ?? '').split(';').map(pair => pair.trim());
  const [value, ...others] = pairs
    .filter(pair => pair.startsWith(`${wanted}=`))
    .map(pair => pair.slice(wanted.length + 1));
  return value !== undefined && others.length === 0 && /^[\w-]{22,43}$/.test(value) ? value : undefined;
}

/** `__Host-`: no subdomain and no path can set it. Browsers take that over https only, and http is for this machine. */
function nameAt(origin: string, name: string): string {
  return isSecure(origin) ? `__Host-${name}` : name;
}

function isSecure(origin: string): boolean {
  return origin.startsWith('https:');
}
