// Formats of access logs: text with Envoy's command operators in it, `%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):80%`.

export interface LogOperator {
  readonly name: string;
  /** Between parentheses; undefined: there are none. */
  readonly argument: string | undefined;
  /** Characters of the value at most; undefined: all of it. */
  readonly charsMax: number | undefined;
  /** Character of the text, from 0. */
  readonly at: number;
}

/** A text that stands for itself, or an operator. */
export type LogPiece = string | LogOperator;

export interface LogFormatFault {
  readonly fault: string;
  readonly at: number;
}

/** Formats are written into memory for each log of each sidecar. */
const charactersMax = 16_384;

/** An argument ends at the parenthesis before the closing `%`, so that there may be others within. */
const operator = /%([A-Z0-9_]+)(?:\(([^]*?)\))?(?::(\d{1,9}))?%/y;

export function parseLogFormat(text: string): readonly LogPiece[] | LogFormatFault {
  if (text.length > charactersMax) {
    return { fault: `a format has at most ${charactersMax} characters`, at: 0 };
  }
  const pieces: LogPiece[] = [];
  let literal = '';
  for (let at = 0; at < text.length;) {
    const next = text.indexOf('%', at);
    if (next < 0) {
      literal += text.slice(at);
      break;
    }
    literal += text.slice(at, next);
    if (text[next + 1] === '%') {
      literal += '%';
      at = next + 2;
      continue;
    }
    operator.lastIndex = next;
    const [whole, name, argument, length] = operator.exec(text) ?? [];
    if (whole === undefined || name === undefined) return openPercent(text, next);
    if (literal !== '') pieces.push(literal);
    literal = '';
    const charsMax = length === undefined ? undefined : Number(length);
    pieces.push({ name, argument, charsMax, at: next });
    at = next + whole.length;
  }
  if (literal !== '') pieces.push(literal);
  return pieces;
}

export function isLogFormatFault(
  parsed: readonly LogPiece[] | LogFormatFault,
): parsed is LogFormatFault {
  return 'fault' in parsed;
}

function openPercent(text: string, at: number): LogFormatFault {
  const closed = text.indexOf('%', at + 1);
  if (closed < 0) return { fault: 'a "%" is not closed; "%%" stands for itself', at };
  const found = text.slice(at, closed + 1);
  return {
    fault: `${found} is no operator: they are written as %RESPONSE_CODE% or %REQ(:PATH)%`,
    at,
  };
}
