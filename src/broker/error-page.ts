import { html } from 'hono/html';
import { type Reader, say, toPage } from './page.ts';
import type { Words } from './page-words.ts';

/** What stops a sign-in where no client can be told, and what the person can do about it. */
export type Trouble = keyof typeof TROUBLES;

export interface ErrorPageParts {
  requestId: string;
  values?: Record<string, string>;
  /** Leads the person back to the client with the answer in it, sealed. */
  back?: { client: string; sealed: string };
}

export function errorPage(
  reader: Reader,
  trouble: Trouble,
  { requestId, values = {}, back }: ErrorPageParts,
): Promise<Response> {
  const { words } = reader;
  const { status, what, advice } = TROUBLES[trouble];
  return toPage(reader, {
    title: words.troubleTitle,
    status,
    content: html`<h1>${words.troubleTitle}</h1>
      <p>${say(words[what], values)}</p>
      <p>${say(words[advice], values)}</p>
      ${back ? backForm(words, back) : ''}
      <p class="soft">${say(words.requestId, { id: requestId })}</p>`,
  });
}

// Private

const TROUBLES = {
  'client-unknown': { status: 400, what: 'clientUnknown', advice: 'clientUnknownAdvice' },
  'client-unreachable': { status: 503, what: 'clientUnreachable', advice: 'tryAgain' },
  'redirect-wrong': { status: 400, what: 'redirectWrong', advice: 'clientUnknownAdvice' },
  'request-broken': { status: 400, what: 'requestBroken', advice: 'beginAgain' },
  'form-foreign': { status: 403, what: 'formForeign', advice: 'beginAgain' },
  'sign-in-over': { status: 400, what: 'signInOver', advice: 'beginAgain' },
  'not-admitted': { status: 403, what: 'notAdmitted', advice: 'notAdmittedAdvice' },
  'too-many': { status: 429, what: 'busy', advice: 'tryAgain' },
  busy: { status: 503, what: 'busy', advice: 'tryAgain' },
  failed: { status: 500, what: 'failed', advice: 'failedAdvice' },
} as const satisfies Record<string, { status: number; what: keyof Words; advice: keyof Words }>;

function backForm(words: Words, { client, sealed }: { client: string; sealed: string }) {
  return html`<form method="post" action="/consent">
    <input type="hidden" name="back" value="${sealed}" />
    <div class="buttons"><button class="main" autofocus>${say(words.back, { client })}</button></div>
  </form>`;
}
