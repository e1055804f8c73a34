// The parser's errors in words that say what to do, for the mistakes people make in Kubernetes
// YAML.
import type { ErrorCode, YAMLParseError } from 'yaml';

export interface Advice {
  readonly message: string;
  readonly mend?: string;
}

const known: Partial<Record<ErrorCode, Advice>> = {
  TAB_AS_INDENT: {
    message: 'a tab stands where the indentation is: YAML allows only spaces there',
    mend: 'indent this line with spaces',
  },
  BAD_ALIAS: {
    message: 'a bare * begins an alias',
    mend: 'put the value in quotes: "*"',
  },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'a second "key: value" begins on the same line',
    mend: 'put the value in quotes if it contains ": ", else start a new, deeper indented line',
  },
  MULTILINE_IMPLICIT_KEY: {
    message: 'this line is read as a key, but it has no ": " after it',
    mend: 'write "key: value" with a space after the colon',
  },
  BAD_INDENT: {
    message: 'this line is not indented as its neighbours are',
    mend: 'line it up with the other keys of the same mapping',
  },
  DUPLICATE_KEY: { message: 'a key stands twice in one mapping', mend: 'keep one of them' },
};

/** @param source the characters that the error is about */
export function adviceOn(error: YAMLParseError, source: string): Advice {
  const { code, message } = error;
  if (code === 'BAD_SCALAR_START') {
    const first = source.slice(0, 1);
    return {
      message: `a value may not begin with ${first} unless it is in quotes`,
      mend: 'put the value in quotes',
    };
  }
  if (code === 'MISSING_CHAR' && message.includes('quote')) {
    return { message: 'a quotation mark is opened and never closed', mend: 'close it' };
  }
  if (code === 'BAD_INDENT' && message.startsWith('Flow')) {
    const open = message.includes('sequence') ? '[' : '{';
    const close = open === '[' ? ']' : '}';
    return { message: `the ${open} that is open here is never closed`, mend: `add the ${close}` };
  }
  if (code === 'MISSING_CHAR' && message.includes('flow')) {
    return {
      message: 'a comma is missing between the items of [ ] or { }',
      mend: 'add it, or put the value in quotes if it contains { } [ ] or ,',
    };
  }
  if (code === 'UNEXPECTED_TOKEN') {
    return {
      message: `the YAML does not go on like this: ${lowerFirst(message)}`,
      mend: 'check the indentation and the quotes of this line and the one above',
    };
  }
  return known[code] ?? { message: lowerFirst(message) };
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1);
}
