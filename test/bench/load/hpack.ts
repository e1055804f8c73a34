// The header blocks of a client whose requests are all alike: told in full once, then by index.

export interface HeaderBlocks {
  /** Enters its fields into the connection's table. */
  readonly first: Buffer;
  /** Every later one: an index for each field. */
  readonly next: Buffer;
  /** For a peer that keeps no table. */
  readonly plain: Buffer;
}

/** Entries of the static table, RFC 7541 appendix A, that carry name and value. */
const staticFields: Readonly<Record<string, number>> = {
  ':method GET': 2,
  ':method POST': 3,
  ':scheme http': 6,
  ':scheme https': 7,
};
const staticEntries = 61;
/** RFC 7541 section 6: the first byte of each form. */
const indexed = 0x80;
const literalIndexed = 0x40;
const literalPlain = 0x00;
/** Section 6.3: "the table has 0 bytes from now on". */
const tableOff = 0x20;
const status200 = 8;

/** @param fields names and values below 127 bytes, pseudo-headers first */
export function headerBlocks(fields: readonly (readonly [string, string])[]): HeaderBlocks {
  const own = fields.filter(([name, value]) => staticFields[`${name} ${value}`] === undefined);
  const block = (encode: (name: string, value: string, position: number) => Buffer): Buffer =>
    Buffer.concat(
      fields.map(([name, value]) => {
        const known = staticFields[`${name} ${value}`];
        if (known !== undefined) return Buffer.of(indexed | known);
        return encode(
          name,
          value,
          own.findIndex(([n]) => n === name),
        );
      }),
    );
  return {
    first: block((name, value) => literal(literalIndexed, name, value)),
    // The newest entry has the lowest index.
    next: block((_name, _value, at) => Buffer.of(indexed | (staticEntries + own.length - at))),
    plain: Buffer.concat([
      Buffer.of(tableOff),
      block((name, value) => literal(literalPlain, name, value)),
    ]),
  };
}

/** Whether a response's block begins with `:status: 200`, after changes of the table's size. */
export function isStatus200(block: Buffer): boolean {
  let at = 0;
  while (((block[at] ?? 0) & 0xe0) === 0x20) {
    const long = (block[at] ?? 0) === 0x3f;
    at += 1;
    if (long) while (((block[at] ?? 0) & 0x80) !== 0) at += 1;
    if (long) at += 1;
  }
  return block[at] === (indexed | status200);
}

function literal(form: number, name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.of(form, name.length),
    Buffer.from(name),
    Buffer.of(value.length),
    Buffer.from(value),
  ]);
}
