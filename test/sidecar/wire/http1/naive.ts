// A second, naive reading of heads and chunked bodies: whole strings and regular expressions.

export interface NaiveHead {
  method: string;
  target: string;
  minor: number;
  lines: [string, string][];
  contentLength: number;
  chunked: boolean;
  rest: number;
}

const requestLine = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+) ([\x21-\x7e]+) HTTP\/1\.([01])$/;
const fieldLine = /^([!#$%&'*+\-.^_`|~\dA-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;
const authority = /^[-._~%!$&'()*+,;=:@[\]\dA-Za-z]*$/;

/** @returns null: malformed; 'more': no blank line yet (what is there may be malformed already) */
export function naiveHead(text: string): NaiveHead | 'more' | null {
  let skipped = 0;
  if (text.startsWith('\r\n')) {
    text = text.slice(2);
    skipped = 2;
  }
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return 'more';
  const [first, ...fields] = text.slice(0, end).split('\r\n');
  const line = requestLine.exec(first!);
  if (line === null) return null;
  const lines: [string, string][] = [];
  for (const field of fields) {
    const parts = fieldLine.exec(field);
    if (parts === null) return null;
    lines.push([parts[1]!, parts[2]!.replace(/[ \t]+$/, '')]);
  }
  const all = (name: string): string[] =>
    lines.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value);
  const minor = Number(line[3]);
  const tabbed = /^(content-length|transfer-encoding):(.*\t)/i;
  if (fields.some((field) => tabbed.test(field))) return null;
  const lengths = all('content-length');
  const encodings = all('transfer-encoding');
  const hosts = all('host');
  if (lengths.length > 1 || encodings.length > 1 || hosts.length > 1) return null;
  if (lengths.length + encodings.length > 1 || all('upgrade').length > 1) return null;
  if (lengths.length === 1 && !/^(0|[1-9]\d{0,14})$/.test(lengths[0]!)) return null;
  if (encodings.length === 1 && (encodings[0]!.toLowerCase() !== 'chunked' || minor === 0)) {
    return null;
  }
  if (hosts.length === 1 && !authority.test(hosts[0]!)) return null;
  const nominated = all('connection').flatMap((value) =>
    value.split(',').map((one) => one.replace(/^[ \t]+|[ \t]+$/g, '').toLowerCase()),
  );
  if (nominated.some((one) => /^(host|content-length|transfer-encoding|expect)$/.test(one)))
    return null;
  const contentLength = lengths.length === 1 ? Number(lengths[0]) : -1;
  const chunked = encodings.length === 1;
  if (line[1] === 'CONNECT' && (chunked || contentLength > 0)) return null;
  return {
    method: line[1]!,
    target: line[2]!,
    minor,
    lines,
    contentLength,
    chunked,
    rest: skipped + end + 4,
  };
}

/** @returns the content and where it ends; null: malformed; 'more' */
export function naiveChunks(text: string): { content: string; end: number } | 'more' | null {
  let content = '';
  for (let at = 0; ;) {
    const size = sizeLine.exec(text.slice(at));
    if (size === null) {
      const rest = text.slice(at);
      return rest === '' || sizeLineStart.test(rest) || sizeLineEnd.test(rest) ? 'more' : null;
    }
    at += size[0].length;
    const length = Number.parseInt(size[1]!, 16);
    if (length === 0) {
      for (;;) {
        const rest = text.slice(at);
        if (rest.startsWith('\r\n')) return { content, end: at + 2 };
        const trailer = fieldLineStart.exec(rest);
        if (trailer !== null) {
          at += trailer[0].length;
          continue;
        }
        return /^(|\r|[!#$%&'*+\-.^_`|~\dA-Za-z]+(:[\t\x20-\x7e\x80-\xff]*\r?)?)$/.test(rest)
          ? 'more'
          : null;
      }
    }
    const data = text.slice(at, at + length);
    content += data;
    at += data.length;
    if (data.length < length) return 'more';
    const after = text.slice(at, at + 2);
    if (!'\r\n'.startsWith(after)) return null;
    if (after.length < 2) return 'more';
    at += 2;
  }
}

const token = "[!#$%&'*+\\-.^_`|~\\dA-Za-z]+";
const quotedStart =
  '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*';
const size = `^([\\da-fA-F]{1,10})(?:;${token}(?:=(?:${token}|${quotedStart}"))?)*`;
const sizeLine = new RegExp(`${size}\\r\\n`);
const sizeLineEnd = new RegExp(`${size}\\r?$`);
/** Within an extension that is not whole. */
const sizeLineStart = new RegExp(`${size};(?:${token}(?:=(?:${quotedStart}\\\\?)?)?)?$`);
const fieldLineStart = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n/;
