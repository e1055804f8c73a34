// Makes a value from the network harmless in a log line: one line, one field, plain ASCII.

/** Longer values are cut; a client's 60 KB path must not cost 60 KB of log. */
export const valueCharsMax = 2048;

/** For a field between quotes: control bytes, `"`, `\` and everything past `~` become `\xNN`. */
export function quoted(value: string): string {
  return isPlain(value, SPACE) ? value : escapeText(value, SPACE);
}

/** For a field that ends at a blank: blanks are escaped as well. */
export function bare(value: string): string {
  return isPlain(value, SPACE + 1) ? value : escapeText(value, SPACE + 1);
}

/** A JSON string, quotes included, in ASCII only. */
export function jsonText(value: string): string {
  if (isPlain(value, SPACE)) return `"${value}"`;
  return asciiJson(clip(value));
}

/** JSON of any value, in ASCII only. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\x7f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const TILDE = 0x7e;

function isPlain(value: string, least: number): boolean {
  if (value.length > valueCharsMax) return false;
  for (let i = 0; i < value.length; i++) {
    const char = value.charCodeAt(i);
    if (char < least || char > TILDE || char === QUOTE || char === BACKSLASH) return false;
  }
  return true;
}

function escapeText(value: string, least: number): string {
  let text = '';
  for (let i = 0; i < value.length && i < valueCharsMax; i++) {
    const char = value.charCodeAt(i);
    if (char === QUOTE || char === BACKSLASH) text += `\\${value.charAt(i)}`;
    else if (char >= least && char <= TILDE) text += value.charAt(i);
    else if (char < 0x100) text += `\\x${char.toString(16).padStart(2, '0')}`;
    else text += `\\u${char.toString(16).padStart(4, '0')}`;
  }
  return value.length > valueCharsMax ? `${text}...` : text;
}

function clip(value: string): string {
  return value.length > valueCharsMax ? `${value.slice(0, valueCharsMax)}...` : value;
}
