import { html } from 'hono/html';
import { mayWrite } from '../access/scopes.ts';
import { type Html, type Reader, say, toPage } from './page.ts';
import { isLoopbackRedirect } from './redirect-uri.ts';
import type { SignIn } from './sign-ins.ts';

/** Who asks, for which company, where the answer goes, and the person's own choice of what may be done. Always shown. */
export interface ConsentPageParts {
  id: string;
  signIn: SignIn;
  company: string;
  cookie: string;
}

export function consentPage(reader: Reader, { id, signIn, company, cookie }: ConsentPageParts): Promise<Response> {
  const { words } = reader;
  const { clientName, redirectUri, scopes } = signIn;
  const address = new URL(redirectUri);
  return toPage(reader, {
    title: words.consentTitle,
    cookie,
    content: html`<h1>${words.consentTitle}</h1>
      <p>${say(words.consentAsks, { client: clientName, company })}</p>
      ${origin(reader, signIn)}
      <p class="host"><small>${words.returnTo}</small><strong>${hostOf(address)}</strong></p>
      ${isLoopbackRedirect(redirectUri) ? html`<p class="note">${words.loopbackWarning}</p>` : ''}
      <form method="post" action="/consent">
        <input type="hidden" name="sign_in" value="${id}" />
        <fieldset>
          <legend>${words.accessLegend}</legend>
          ${mayWrite(scopes) ? bothChoices(reader) : onlyReading(reader)}
        </fieldset>
        <div class="buttons">
          <button class="main" name="answer" value="allow">${words.allow}</button>
          <button name="answer" value="cancel" formnovalidate>${words.cancel}</button>
        </div>
      </form>
      <p class="soft">${say(words.consentNext, { company })}</p>`,
  });
}

// Private

/** Only the host of a document that we fetched there is more than a claim. */
function origin({ words }: Reader, { clientHost }: SignIn): Html {
  if (clientHost !== undefined)
    return html`<p><span class="mark">${say(words.clientVerified, { host: clientHost })}</span></p>`;
  return html`<p><span class="mark warn">${words.clientUnverified}</span> <small>${words.clientUnverifiedWhy}</small></p>`;
}

/** Schemes of programs have no host of their own to go by: the whole beginning is shown. */
function hostOf({ protocol, host }: URL): string {
  return protocol === 'https:' || protocol === 'http:' ? host : `${protocol}//${host}`;
}

/** Nothing is chosen beforehand: what a program may do is the person's own decision, not the first button's. */
function bothChoices({ words }: Reader): Html {
  return html`${choice('read', words.readTitle, words.readWhy)}
  ${choice('write', words.writeTitle, words.writeWhy)}`;
}

function onlyReading({ words }: Reader): Html {
  return choice('read', words.readTitle, `${words.readWhy} ${words.readOnlyAsked}`, true);
}

function choice(value: 'read' | 'write', title: string, why: string, isChosen = false): Html {
  return html`<label>
    <input type="radio" name="access" value="${value}" ${isChosen ? 'checked' : ''} required />
    <span><b>${title}</b><small>${why}</small></span>
  </label>`;
}
