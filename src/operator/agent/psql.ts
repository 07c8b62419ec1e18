import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { type Ended, runProgram } from './programs.ts';

/** Who connects where. */
export interface Login {
  /** Empty for the machine's own socket. */
  host: string;
  port: number;
  user: string;
  password?: string;
  database: string;
  sslMode?: string;
}

/** One statement. It is on standard input and the password in the environment: an argv is for everybody to read. */
export function askPsql(psql: string, login: Login, sql: string): Promise<Ended> {
  const env: Record<string, string> = {
    LC_ALL: 'C',
    PGPORT: `${login.port}`,
    PGUSER: login.user,
    PGDATABASE: login.database,
    PGCONNECT_TIMEOUT: '5',
    ...(login.host && { PGHOST: login.host }),
    ...(login.password !== undefined && { PGPASSWORD: login.password }),
    ...(login.sslMode && { PGSSLMODE: login.sslMode }),
  };
  // Terse errors do not repeat the statement; -w never waits for somebody to type a password.
  const flags = ['-X', '-q', '-A', '-t', '-w', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=terse', '-f', '-'];
  return runProgram(psql, flags, { env, input: `${sql};\n`, seconds: 60 });
}

/** psql's own words, without saying that they are psql's. */
export function reasonIn(err: string): string {
  const [first = ''] = err.trim().split('\n');
  return first.replace(/^psql:(<stdin>:\d+:)? *(error|ERROR): */, '') || 'psql ended without a word';
}

/** As src/database reads it; a text that is no such address is none that serves. */
export function parseUrl(text: string): Login | undefined {
  const url = URL.parse(text);
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || !url.hostname) return undefined;
  try {
    return {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 5432),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)) || 'postgres',
      sslMode: url.searchParams.get('sslmode') ?? undefined,
    };
  } catch {
    return undefined;
  }
}

export function toUrl({ host, port, user, password, database, sslMode }: Login): string {
  const name = host.includes(':') ? `[${host}]` : host;
  const query = sslMode === undefined ? '' : `?sslmode=${encodeURIComponent(sslMode)}`;
  return `postgres://${user}:${password}@${name}:${port}/${database}${query}`;
}

/** What Postgres keeps of a password (RFC 5803), so that the password stands in no statement that a server may log. */
export function scramVerifier(password: string): string {
  const iterations = 4096;
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const keyOf = (name: string) => createHmac('sha256', salted).update(name).digest();
  const stored = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${keyOf('Server Key').toString('base64')}`;
}
