// What is kept of an answer's headers and trailers until its log line is written: only where something asks for them.
import type { Exchange, ResponseView } from '../exchange.ts';

export type Lines = readonly (readonly [name: string, value: string])[];

/** What formats, filters and labels want of answers. */
export interface WantedOfAnswers {
  /** Lower-case names; null: all of them. */
  readonly headers: ReadonlySet<string> | null;
}

export const nothingWanted: WantedOfAnswers = Object.freeze({ headers: new Set<string>() });

/** Both wishes in one. */
export function wantedBoth(a: WantedOfAnswers, b: WantedOfAnswers): WantedOfAnswers {
  if (a === nothingWanted) return b;
  if (b === nothingWanted) return a;
  if (a.headers === null || b.headers === null) return { headers: null };
  return { headers: a.headers.union(b.headers) };
}

const linesMax = 100;
const noLines: Lines = Object.freeze([]);

/** Copies the lines that are wanted: the head is overwritten by the next one. */
export function keepAnswer(x: Exchange, head: ResponseView, { headers }: WantedOfAnswers): void {
  const kept: (readonly [string, string])[] = [];
  for (const name of headers ?? namesOf(head)) {
    for (const value of head.values(name)) {
      if (kept.length < linesMax) kept.push([name, value]);
    }
  }
  x.answerLines = kept;
}

/** Lower-case names. */
export function answerLines(x: Exchange): Lines {
  return x.ownAnswer === '' ? (x.answerLines ?? noLines) : parse(x.ownAnswer);
}

export function answerValues(x: Exchange, name: string): string[] {
  return answerLines(x)
    .filter(([one]) => one === name)
    .map(([, value]) => value);
}

/** Of trailers the status of gRPC is kept, and nothing else. */
export function trailerLines({ grpcStatus }: Exchange): Lines {
  return grpcStatus === '' ? noLines : [['grpc-status', grpcStatus]];
}

function namesOf(head: ResponseView): Set<string> {
  const lines = 'lines' in head && typeof head.lines === 'function' ? (head.lines() as Lines) : [];
  return new Set(lines.map(([name]) => name.toLowerCase()));
}

function parse(text: string): Lines {
  return text
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    });
}
