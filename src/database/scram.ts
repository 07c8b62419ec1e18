import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/**
 * What Postgres keeps of a password (RFC 5803). Made here, so that the password itself never stands in a statement that
 * a server may log, and so that `frame migrate` can tell a right one from a wrong one.
 */
export function scramVerifier(password: string, salt = randomBytes(16), iterations = ITERATIONS): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest('base64');
  const serverKey = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

export function isVerifierOf(password: string, verifier: unknown): boolean {
  const [, iterations, salt] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$/.exec(String(verifier)) ?? [];
  if (!iterations || !salt) return false;
  return scramVerifier(password, Buffer.from(salt, 'base64'), Number(iterations)) === verifier;
}

// Private

/**
 * Rounds stretch weak passwords. Ours are 192 derived bits, which nobody can search; the usual 4096 rounds would only
 * hold the event loop for 2 ms at every new connection.
 */
const ITERATIONS = 1;

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
