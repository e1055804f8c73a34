// The literal text that everything a regular expression matches begins with.

const plain = /^\^?([\w/~!@%&=:;,<>"'` -]*)(.?)/s;

/** '' when there is none, or none that is easily seen. */
export function literalPrefix(pattern: string): string {
  // An alternative, wherever it is, may not begin so.
  if (pattern.includes('|')) return '';
  const [, text = '', next = ''] = plain.exec(pattern) ?? [];
  return '*?{+'.includes(next) && next !== '' ? text.slice(0, -1) : text;
}
