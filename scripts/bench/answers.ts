export interface Answer {
  status: number;
  body: string;
}

/** An HTTP/1.1 reader that knows Content-Length and chunks, and nothing else: enough for answers of known servers. */
export function readAnswers(onAnswer: (answer: Answer) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return bytes => {
    rest = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes;
    for (let answer = takeAnswer(); answer; answer = takeAnswer()) onAnswer(answer);
  };

  /** Undefined until the answer is whole. */
  function takeAnswer(): Answer | undefined {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd === -1) return undefined;
    const head = rest.toString('latin1', 0, headEnd);
    const found = /\r\ntransfer-encoding: *chunked/i.test(head)
      ? takeChunks(headEnd + 4)
      : takeLength(headEnd + 4, Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0));
    if (!found) return undefined;
    rest = rest.subarray(found.end);
    return { status: Number(head.slice(9, 12)), body: found.body };
  }

  function takeLength(start: number, length: number): Found | undefined {
    const end = start + length;
    return rest.length < end ? undefined : { body: rest.toString('utf8', start, end), end };
  }

  function takeChunks(start: number): Found | undefined {
    const parts: Buffer[] = [];
    for (let at = start; ; ) {
      const lineEnd = rest.indexOf('\r\n', at);
      if (lineEnd === -1) return undefined;
      const size = Number.parseInt(rest.toString('latin1', at, lineEnd), 16);
      const end = lineEnd + 2 + size + 2;
      if (rest.length < end) return undefined;
      if (size === 0) return { body: Buffer.concat(parts).toString('utf8'), end };
      parts.push(rest.subarray(lineEnd + 2, end - 2));
      at = end;
    }
  }
}

// Private

interface Found {
  body: string;
  /** Where the next answer begins. */
  end: number;
}
