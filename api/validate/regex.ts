// Regular expressions in RE2's syntax: whether a text is one.
import { RE2JS } from 're2js';

/** As in Istio: what is longer may be too large a program for Envoy. */
const lengthMax = 1024;

/** Why it is none; null when it is one. */
export function regexFault(text: string): string | null {
  if (text === '') return 'a regular expression may not be empty';
  if (Buffer.byteLength(text) > lengthMax) {
    return `a regular expression may have ${lengthMax} characters`;
  }
  try {
    RE2JS.compile(text);
    return null;
  } catch (error) {
    return `"${text}" is no regular expression of RE2: ${(error as Error).message}`;
  }
}
