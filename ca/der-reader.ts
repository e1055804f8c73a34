// Reading DER (X.690) strictly: definite minimal lengths, nothing after the end. Never trusts a length it was given.

export class DerError extends Error {
  override readonly name = 'DerError';
}

export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
  /** With tag and length. */
  readonly whole: Buffer;
}

/** Elements one after the other. Throws DerError for anything that is not DER. */
export class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag that comes next; -1 at the end. */
  get nextTag(): number {
    return this.#bytes[this.#at] ?? -1;
  }

  /** The next element, which must have this tag. */
  take(tag: number): DerElement {
    const found = this.takeAny();
    if (found.tag !== tag) {
      throw new DerError(`tag 0x${tag.toString(16)} wanted, 0x${found.tag.toString(16)} found`);
    }
    return found;
  }

  takeAny(): DerElement {
    const start = this.#at;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several bytes');
    const length = this.#length();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new DerError('an element longer than what holds it');
    const content = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return { tag, content, whole: this.#bytes.subarray(start, end) };
  }

  /** Throws where something is left. */
  end(): void {
    if (!this.atEnd) throw new DerError('bytes after the end');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new DerError('it ends too early');
    this.#at += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw new DerError('a length that is indefinite or too large');
    let length = 0;
    for (let i = 0; i < count; i += 1) length = length * 256 + this.#byte();
    const leastOfCount = count === 1 ? 0x80 : 256 ** (count - 1);
    if (length < leastOfCount) throw new DerError('a length that is not the shortest');
    return length;
  }
}

/** The bytes of an OID as dotted text. */
export function readOid(content: Buffer): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const [index, byte] of content.entries()) {
    if (arc > 0x1f_ffff || (arc === 0 && byte === 0x80)) throw new DerError('a malformed OID');
    arc = arc * 128 + (byte & 0x7f);
    if ((byte & 0x80) !== 0) {
      if (index === content.length - 1) throw new DerError('a malformed OID');
      continue;
    }
    if (arcs.length === 0) {
      const root = Math.min(Math.floor(arc / 40), 2);
      arcs.push(root, arc - root * 40);
    } else {
      arcs.push(arc);
    }
    arc = 0;
  }
  if (arcs.length === 0) throw new DerError('a malformed OID');
  return arcs.join('.');
}
