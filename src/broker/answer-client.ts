/** Sends the browser back to the client. `iss` says who answers (RFC 9207), on success and on error alike. */
export interface ReturnAddress {
  redirectUri: string;
  state: string | undefined;
}

export type ClientAnswer = { code: string } | { error: string; description: string };

/** By text: what the owner of the address wrote stays as it is. It was checked, and has no fragment (redirect-uri.ts). */
export function answerUrl({ redirectUri, state }: ReturnAddress, issuer: string, answer: ClientAnswer): string {
  const added = new URLSearchParams(
    'code' in answer ? { code: answer.code } : { error: answer.error, error_description: answer.description },
  );
  if (state !== undefined) added.append('state', state);
  added.append('iss', issuer);
  return `${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${added}`;
}

/** 303: whatever the request was, the next one is a GET without its form. */
export function redirect(location: string, cookie?: string): Response {
  const headers = new Headers({ Location: location, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' });
  if (cookie) headers.append('Set-Cookie', cookie);
  return new Response(null, { status: 303, headers });
}
