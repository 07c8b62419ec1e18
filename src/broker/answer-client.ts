/** Sends the browser back to the client. `iss` says who answers (RFC 9207), on success and on error alike. */
export interface ReturnAddress {
  redirectUri: string;
  state: string | undefined;
}

export type ClientAnswer = { code: string } | { error: string; description: string };

export function answerUrl({ redirectUri, state }: ReturnAddress, issuer: string, answer: ClientAnswer): string {
  const url = new URL(redirectUri);
  const add = (name: string, value: string) => url.searchParams.append(name, value);
  if ('code' in answer) {
    add('code', answer.code);
  } else {
    add('error', answer.error);
    add('error_description', answer.description);
  }
  if (state !== undefined) add('state', state);
  add('iss', issuer);
  return url.href;
}

/** 303: whatever the request was, the next one is a GET without its form. */
export function redirect(location: string, cookie?: string): Response {
  const headers = new Headers({ Location: location, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' });
  if (cookie) headers.append('Set-Cookie', cookie);
  return new Response(null, { status: 303, headers });
}
