/** A bar for somebody who watches, redrawn at most ten times a second. */
export interface Progress {
  /** Bytes of the file that were read so far, and rows. */
  show(bytes: number, rows: number): void;
  clear(): void;
}

export function createProgress(word: string, totalBytes: number, status: (text: string) => void): Progress {
  let shownAt = Number.NEGATIVE_INFINITY;
  return {
    show(bytes, rows) {
      const now = performance.now();
      if (now - shownAt < REDRAW_MS) return;
      shownAt = now;
      const share = totalBytes > 0 ? Math.min(1, bytes / totalBytes) : 1;
      const filled = Math.round(share * WIDTH);
      const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled);
      status(`${word} ${bar} ${String(Math.round(share * 100)).padStart(3)} %  ${rows.toLocaleString('en')} rows`);
    },
    clear: () => status(''),
  };
}

// Private

const REDRAW_MS = 100;
const WIDTH = 30;
