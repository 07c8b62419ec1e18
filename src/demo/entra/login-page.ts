import { createHash } from 'node:crypto';
import { html, raw } from 'hono/html';
import type { StandInClient, StandInPerson, StandInTenant } from './tenant.ts';

/** The pages that people see: no script, nothing from elsewhere, every value escaped. */
export interface Page {
  html: string;
  headers: Record<string, string>;
}

export async function loginPage(
  tenant: StandInTenant,
  client: StandInClient,
  loginHint: string | undefined,
): Promise<Page> {
  const isHinted = ({ username }: StandInPerson) => username.toLowerCase() === loginHint?.toLowerCase();
  const people = tenant.people.toSorted((a, b) => Number(isHinted(b)) - Number(isHinted(a)));
  return page(
    `Sign in to ${tenant.name}`,
    html`<h1>Sign in</h1>
      <p><strong>${client.name}</strong> asks who you are at <strong>${tenant.name}</strong>.</p>
      <form method="post">
        <ul>
          ${people.map((person, at) => html`<li>${personButton(person, at === 0)}</li>`)}
        </ul>
        <button class="quiet" name="answer" value="cancel">Cancel</button>
      </form>`,
  );
}

export async function errorPage(message: string): Promise<Page> {
  return page(
    'Sign-in failed',
    html`<h1>Sign-in failed</h1>
      <p>${message}</p>`,
  );
}

// Private

type Html = ReturnType<typeof html>;

function personButton(person: StandInPerson, isFirst: boolean): Html {
  const { name, username, objectId, about } = person;
  const initials = name
    .split(' ')
    .map(word => word.charAt(0))
    .join('')
    .slice(0, 2);
  return html`<button name="person" value="${objectId}" ${isFirst ? 'autofocus' : ''}>
    <span class="badge" aria-hidden="true">${initials}</span>
    <span><b>${name}</b><small>${username}</small>${about ? html`<small>${about}</small>` : ''}</span>
  </button>`;
}

async function page(title: string, content: Html): Promise<Page> {
  const body = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>${raw(STYLE)}</style>
      </head>
      <body>
        <main>${content}</main>
        <footer>A stand-in for Microsoft Entra, for local use only. Nobody is asked for a password here.</footer>
      </body>
    </html>`;
  return { html: body.toString(), headers: HEADERS };
}

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; --line: light-dark(#d0d5dd, #3a4150); --soft: light-dark(#52596b, #a9b1c2); --accent: light-dark(#1d4ed8, #8ab4ff); }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-content: center; gap: 1rem; padding: 1rem; background: light-dark(#f3f5f9, #12151c); color: light-dark(#161a23, #e9ecf3); }
main { width: min(26rem, calc(100vw - 2rem)); padding: 2rem; border: 1px solid var(--line); border-radius: 1rem; background: light-dark(#fff, #1b1f29); }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; }
p { margin: 0 0 1.25rem; overflow-wrap: anywhere; }
ul { list-style: none; margin: 0 0 1rem; padding: 0; display: grid; gap: .5rem; }
button { width: 100%; display: flex; align-items: center; gap: .9rem; padding: .7rem .9rem; border: 1px solid var(--line); border-radius: .75rem; background: none; color: inherit; font: inherit; text-align: start; cursor: pointer; }
button:hover { border-color: var(--accent); }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
button.quiet { width: auto; border-color: transparent; color: var(--accent); }
b, small { display: block; overflow-wrap: anywhere; }
small, footer { color: var(--soft); font-size: .85rem; }
.badge { flex: none; width: 2.4rem; height: 2.4rem; display: grid; place-content: center; border-radius: 50%; border: 1px solid var(--line); color: var(--accent); font-weight: 600; }
footer { width: min(26rem, calc(100vw - 2rem)); text-align: center; }
`;

/** No form-action: Chrome applies it to the redirect after the form as well, and clients may redirect on. */
const HEADERS = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; frame-ancestors 'none'`,
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};
