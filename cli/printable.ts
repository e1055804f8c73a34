// Text that came over the network, made harmless for a terminal: what controls one is written as its number.

/** Control characters, directions of writing, halves of pairs, line and paragraph separators. */
const odd = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** `\x1b` in place of an escape. */
export function printable(text: string): string {
  return text.replace(odd, (char) => {
    const code = char.codePointAt(0) ?? 0;
    const hex = code.toString(16);
    return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`;
  });
}

/** A copy with each text in it made printable; names of fields are ours. */
export function allPrintable<T>(value: T): T {
  return JSON.parse(JSON.stringify(value), (_key, inner: unknown) =>
    typeof inner === 'string' ? printable(inner) : inner,
  ) as T;
}

/** JSON that is harmless too, and still the same value. @param indent spaces; 0: one line */
export function printableJson(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent).replace(
    /[\x7f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** At most so many columns, the last of them a mark of what was cut. */
export function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 1))}…`;
}
