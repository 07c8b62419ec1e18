import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** libpq's `sslmode`. `prefer` takes TLS where the server offers it; `verify-…` also check the certificate. */
export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

/** Where a Postgres listens. */
export interface ServerAddress {
  host: string;
  port: number;
  ssl: SslMode;
}

/** A connected socket, over TLS where the address says so. Aborting the signal destroys it, also later. */
export async function openSocket(address: ServerAddress, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host: address.host, port: address.port, noDelay: true, keepAlive: true, signal });
  await happens(socket, 'connect');
  if (address.ssl === 'disable') return socket;
  const answer = await askForTls(socket);
  if (answer === 'S') return await encrypt(socket, address);
  if (answer === 'N' && address.ssl === 'prefer') return socket.resume();
  socket.destroy();
  throw new Error('The server offers no TLS.');
}

// Private

const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** The server's one byte. More would be plaintext that somebody slipped in before the handshake (CVE-2021-23222). */
async function askForTls(socket: Socket): Promise<string> {
  socket.write(SSL_REQUEST);
  let answer = '';
  socket.once('data', bytes => {
    socket.pause();
    answer = bytes.toString('latin1');
  });
  await happens(socket, 'pause');
  return answer;
}

async function encrypt(socket: Socket, { host, ssl }: ServerAddress): Promise<Socket> {
  const secured = connectTls({
    socket,
    host,
    servername: isIP(host) ? '' : host,
    rejectUnauthorized: ssl.startsWith('verify'),
    ...(ssl === 'verify-ca' && { checkServerIdentity: () => undefined }),
  });
  await happens(secured, 'secureConnect');
  return secured;
}

/** The listeners stay: a socket whose errors nobody hears ends the process. */
function happens(socket: Socket, event: 'connect' | 'pause' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('The server closed the connection.')));
  });
}
