import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/** A file for another machine. Its name has at most 100 bytes. */
export interface TarFile {
  name: string;
  executable: boolean;
  size: number;
  read(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * The files as a tar stream (POSIX ustar), with nothing of this laptop in it: no owner, no times, no attributes, which
 * each of the `tar` programs would add in its own way.
 * @throws Error when a file is not as long as it was said to be
 */
export async function* packTar(files: Iterable<TarFile>): AsyncIterable<Uint8Array> {
  for (const file of files) {
    yield headerOf(file);
    let left = file.size;
    for await (const chunk of file.read()) {
      left -= chunk.length;
      yield chunk;
    }
    if (left !== 0) throw new Error(`${file.name} has changed while it was read.`);
    yield Buffer.alloc(-file.size & (BLOCK - 1));
  }
  yield Buffer.alloc(2 * BLOCK);
}

/** Sources and programs get three times smaller; the checksum behind them tells a part from the whole. */
export function compress(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const gzip = createGzip({ level: 1 });
  // A source that fails is heard by whoever reads.
  pipeline(Readable.from(content), gzip).catch(() => {});
  return gzip;
}

// Private

const BLOCK = 512;

function headerOf({ name, executable, size }: TarFile): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, digits: number) =>
    header.write(`${value.toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  if (header.write(name, 0, 100) !== Buffer.byteLength(name)) throw new Error(`${name} is too long a name.`);
  octal(executable ? 0o755 : 0o644, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(0, 136, 11);
  header.write('        0', 148, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  return header;
}
