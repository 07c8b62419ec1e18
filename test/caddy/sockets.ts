import { readdir, readFile, readlink } from 'node:fs/promises';

/** `address:port` of everything that a process listens on, TCP and UDP, as Linux says. */
export async function listeningSockets(pid: number): Promise<string[]> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all((await readdir(folder)).map(name => readlink(`${folder}/${name}`).catch(() => '')));
  const inodes = new Set(links.flatMap(link => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  const tables = await Promise.all(
    Object.entries(LISTENING).map(async ([table, state]) => {
      const lines = (await readFile(`/proc/${pid}/net/${table}`, 'utf8')).trim().split('\n').slice(1);
      const sockets = lines.map(line => line.trim().split(/\s+/));
      return sockets.filter(fields => fields[3] === state && inodes.has(fields[9] ?? '')).map(([, local]) => local);
    }),
  );
  return tables.flat().map(local => toText(local ?? ''));
}

// Private

/** Table → the state of a socket that takes what comes. */
const LISTENING = { tcp: '0A', tcp6: '0A', udp: '07', udp6: '07' };

/** `0100007F:0E80`: the bytes of the address as a number of this machine, then the port. */
function toText(local: string): string {
  const [address = '', port = ''] = local.split(':');
  const words = address.match(/.{8}/g) ?? [];
  const bytes = words.flatMap(word => [...Buffer.from(word, 'hex').reverse()]);
  return `${bytes.join('.')}:${Number.parseInt(port, 16)}`;
}
