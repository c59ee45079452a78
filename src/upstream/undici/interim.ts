/**
 * Removes interim (1xx) answers from what an upstream sends, before undici reads it: undici takes an unasked 100 for a
 * broken server, while RFC 9110 section 15.2 lets a server send any number of them at any time.
 */

const INTERIM_LINE = /^HTTP\/1\.[01] 1(?!01)\d\d[ \r\n]/;
/** The length of "HTTP/1.1 1xx" and the character behind it. */
const DECIDING_BYTES = 13;
const NOTHING = Buffer.alloc(0);

interface InterimFilter {
  /** Takes what came in, and returns what a reader of final answers may see, which may be nothing. */
  pass(chunk: Buffer): Buffer;
  /** A new answer is expected. */
  restart(): void;
}

/** At most `maxBytes` are held back or skipped for one answer. Past that all passes, and the reader refuses it. */
export function createInterimFilter(maxBytes: number): InterimFilter {
  let held: Buffer = NOTHING;
  let skipped = 0;
  let open = true;

  const release = (): Buffer => {
    const bytes = held;
    held = NOTHING;
    open = true;
    return bytes;
  };

  return {
    restart: () => {
      held = NOTHING;
      skipped = 0;
      open = false;
    },
    pass: (chunk) => {
      if (open) return chunk;
      const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      held = bytes.subarray(interimLength(bytes));
      skipped += bytes.length - held.length;
      const undecided = isInterim(held) || mayBecomeInterim(held);
      return undecided && skipped + held.length <= maxBytes ? NOTHING : release();
    },
  };
}

/** The length of the complete interim answers that `bytes` begins with. */
function interimLength(bytes: Buffer): number {
  let length = 0;
  while (isInterim(bytes.subarray(length))) {
    const end = bytes.indexOf("\r\n\r\n", length);
    if (end === -1) return length;
    length = end + 4;
  }
  return length;
}

function isInterim(bytes: Buffer): boolean {
  return INTERIM_LINE.test(bytes.toString("latin1", 0, DECIDING_BYTES));
}

/** Whether `bytes` is too short to tell, and further bytes could make it an interim answer. */
function mayBecomeInterim(bytes: Buffer): boolean {
  const start = bytes.toString("latin1", 0, DECIDING_BYTES);
  return start.length < DECIDING_BYTES && INTERIM_LINE.test(start + "HTTP/1.1 199 ".slice(start.length));
}
