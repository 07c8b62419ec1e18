import { html } from 'hono/html';
import { type Reader, say, toPage } from './page.ts';
import type { SignIn } from './sign-ins.ts';

/** Asks for the work e-mail where several companies sign in. The answer is the same for every address we do not know. */
export interface EmailPageParts {
  id: string;
  signIn: Pick<SignIn, 'clientName'>;
  /** What was entered before, and led nowhere. */
  unknown?: string;
  cookie: string;
}

export function emailPage(reader: Reader, { id, signIn, unknown, cookie }: EmailPageParts): Promise<Response> {
  const { words } = reader;
  return toPage(reader, {
    title: words.emailTitle,
    cookie,
    content: html`<h1>${words.emailTitle}</h1>
      <p>${say(words.emailAsks, { client: signIn.clientName })}</p>
      ${unknown === undefined ? '' : html`<p class="note" id="unknown" role="alert">${words.emailUnknown}</p>`}
      <form method="post" action="/consent">
        <input type="hidden" name="sign_in" value="${id}" />
        <label for="email">${words.emailLabel}</label>
        <input
          type="email"
          id="email"
          name="email"
          value="${unknown ?? ''}"
          autocomplete="email"
          maxlength="254"
          required
          autofocus
          ${unknown === undefined ? '' : html`aria-invalid="true" aria-describedby="unknown"`}
        />
        <div class="buttons">
          <button class="main" name="answer" value="email">${words.emailContinue}</button>
          <button name="answer" value="cancel" formnovalidate>${words.cancel}</button>
        </div>
      </form>`,
  });
}
