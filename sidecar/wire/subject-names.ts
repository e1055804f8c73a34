// The URI names of a certificate, from Node's text form of its subject alternative names.

/** A name as Node writes it: bare, or a JSON string where a character in it would mislead. */
const NAME = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/**
 * Every URI of the names, whole. Splitting at ", " alone would let one long name pass for several
 * (CVE-2021-44532), so text of any other shape than Node's gives none.
 * @param text `URI:spiffe://td/ns/a/sa/b, DNS:b.a.svc`
 */
export function uriNames(text: string): string[] {
  const uris: string[] = [];
  NAME.lastIndex = 0;
  while (NAME.lastIndex < text.length) {
    const match = NAME.exec(text);
    if (match === null) return [];
    const [, kind = '', value = ''] = match;
    if (kind !== 'URI') continue;
    const uri = value.startsWith('"') ? unquote(value) : value;
    if (uri === null) return [];
    uris.push(uri);
  }
  return uris;
}

function unquote(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}
