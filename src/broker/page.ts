import { createHash } from 'node:crypto';
import { html, raw } from 'hono/html';
import { type Language, languageOf, WORDS, type Words } from './page-words.ts';

/** What all our pages share: no script, nothing from elsewhere, every value escaped, no other site around them. */
export type Html = ReturnType<typeof html>;

export interface Reader {
  language: Language;
  words: Words;
}

/** Who the page is for, as far as their browser says. */
export function readerOf(headers: Headers): Reader {
  const language = languageOf(headers);
  return { language, words: WORDS[language] };
}

export interface PageParts {
  title: string;
  content: Html;
  status?: number;
  cookie?: string;
}

export async function toPage(
  { language }: Reader,
  { title, content, status = 200, cookie }: PageParts,
): Promise<Response> {
  const body = await html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title} · Frame</title>
        <style>${raw(STYLE)}</style>
      </head>
      <body>
        <main>${content}</main>
      </body>
    </html>`;
  const headers = new Headers(HEADERS);
  headers.set('Content-Language', language);
  if (cookie) headers.append('Set-Cookie', cookie);
  return new Response(body.toString(), { status, headers });
}

/** A sentence with its values in bold. */
export function say(sentence: string, values: Record<string, string>): Html[] {
  return sentence.split(/\{(\w+)\}/).map((part, at) => (at % 2 === 0 ? html`${part}` : html`<b>${values[part]}</b>`));
}

// Private

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.55 system-ui, sans-serif; --line: light-dark(#d3d8e2, #3a4150); --soft: light-dark(#545c6d, #a9b1c2); --accent: light-dark(#1d4ed8, #8ab4ff); --on-accent: light-dark(#fff, #0d1424); --warn: light-dark(#8a4b00, #ffc46b); --warn-back: light-dark(#fff5e2, #33270f); }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: light-dark(#f3f5f9, #12151c); color: light-dark(#161a23, #e9ecf3); overflow-wrap: anywhere; word-break: keep-all; }
main { width: 100%; max-width: 28rem; padding: clamp(1.25rem, 6vw, 2rem); border: 1px solid var(--line); border-radius: 1rem; background: light-dark(#fff, #1b1f29); }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; text-wrap: balance; }
p { margin: 0 0 1rem; }
main > :last-child { margin-bottom: 0; }
small, .soft { color: var(--soft); font-size: .875rem; }
.mark { display: inline-block; padding: .05rem .6rem; border: 1px solid currentcolor; border-radius: 1rem; color: var(--soft); font-size: .8125rem; }
.mark.warn { color: var(--warn); }
.note { padding: .75rem .9rem; border-radius: .75rem; background: var(--warn-back); color: var(--warn); font-size: .9rem; }
.host { margin: 0 0 1rem; padding: .75rem .9rem; border: 1px solid var(--line); border-radius: .75rem; }
.host strong { display: block; font-size: 1.3rem; line-height: 1.3; }
fieldset { margin: 0 0 1.25rem; padding: 0; border: 0; display: grid; gap: .5rem; }
legend { padding: 0; margin-bottom: .5rem; font-weight: 600; }
fieldset label { display: flex; gap: .75rem; align-items: start; padding: .75rem .9rem; border: 1px solid var(--line); border-radius: .75rem; cursor: pointer; }
fieldset label:has(:checked) { border-color: var(--accent); }
fieldset label span { display: grid; }
input { accent-color: var(--accent); }
input[type=radio] { flex: none; outline: none; width: 1.15rem; height: 1.15rem; margin: .2rem 0 0; }
input[type=email] { width: 100%; margin: .35rem 0 1rem; padding: .65rem .8rem; border: 1px solid var(--soft); border-radius: .6rem; background: transparent; color: inherit; font: inherit; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; }
button { flex: 1 1 8rem; padding: .7rem 1rem; border: 1px solid var(--soft); border-radius: .7rem; background: transparent; color: inherit; font: inherit; font-weight: 600; cursor: pointer; }
button.main { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
:is(button, input[type=email]):focus-visible, fieldset label:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
form + p { margin: 1.25rem 0 0; }
`;

/**
 * No form-action: Chrome applies it to every redirect that follows the form as well, and the way back to a client leads to
 * addresses that are only known when it asks.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
};
