// Fuzzes our HTTP/1.1 parser: in any split it reads the same, and nobody on llhttp reads anything else.
import { writeChunkedRequest, writeRequests } from './grammar.ts';
import { Llhttp } from './llhttp.ts';
import { mutate, splits } from './mutate.ts';
import { OwnReader } from './own.ts';
import { Random } from './random.ts';
import type { Difference, FuzzReadings } from './reading.ts';
import { compareRequests } from './reading.ts';
import { casesOf } from './wire-text.ts';

type Report = (difference: Difference) => void;
/** What differs: a kind that is the same for all of its class, and the particulars. */
export type Finding = readonly [kind: string, detail: string];

const seeds = [...casesOf('seeds'), ...casesOf('corpus')].map(({ bytes }) =>
  bytes.toString('latin1'),
);
const ours = new OwnReader();
const oursSplit = new OwnReader();
const oursBehind = new OwnReader();
const theirs = new Llhttp();
const last = 'GET /next HTTP/1.1\r\nHost: n\r\n\r\n';

/** What reading `execution` of `seed` is about; the same bytes whenever it is asked. */
export function requestBytes(random: Random): string {
  const text = random.once(3) ? random.pick(seeds) : writeRequests(random);
  if (random.once(6)) return text + last;
  return mutate(random, text, random.once(2) ? random.pick(seeds) : writeRequests(random)) + last;
}

export function fuzzHttp1(seed: number, executions: number, report?: Report): number {
  return run('http1', requestBytes, seed, executions, report);
}

function chunkedBytes(random: Random): string {
  const text = writeChunkedRequest(random);
  return (random.once(3) ? text : mutate(random, text, writeChunkedRequest(random))) + last;
}

export function fuzzChunked(seed: number, executions: number, report?: Report): number {
  return run('chunked', chunkedBytes, seed, executions, report);
}

function run(
  target: string,
  write: (random: Random) => string,
  seed: number,
  executions: number,
  report: Report = raise,
): number {
  const random = new Random(seed);
  for (let i = 0; i < executions; i++) {
    random.seed(seed + i);
    const bytes = Buffer.from(write(random), 'latin1');
    for (const [kind, detail] of examine(bytes, random)) {
      report({ target, kind, detail, bytes, seed: seed + i });
    }
  }
  return executions;
}

function raise({ target, kind, detail, seed }: Difference): void {
  throw new Error(`${target}, seed ${seed}: ${kind}: ${detail}`);
}

/** Everything that is wrong or debatable about how these bytes are read. */
export function examine(bytes: Buffer, random: Random): Finding[] {
  const findings: Finding[] = [];
  try {
    ours.begin();
    ours.take(Buffer.from(bytes), 0, bytes.length);
    oursSplit.begin();
    readSplit(oursSplit, bytes, random);
    findings.push(...same('split', ours.readings, oursSplit.readings));
    theirs.begin();
    theirs.take(bytes);
    findings.push(...inFront(ours.readings, theirs.readings));
    findings.push(...behind(random));
  } catch (error) {
    findings.push(['crash', String(error)]);
  }
  return findings;
}

/** Each piece in memory of its own, which is overwritten once it was taken. */
function readSplit(reader: OwnReader, bytes: Buffer, random: Random): void {
  let from = 0;
  for (const end of splits(random, bytes.length)) {
    const piece = Buffer.from(bytes.subarray(from, end));
    reader.take(piece, 0, piece.length);
    piece.fill(0x58);
    from = end;
  }
}

function same(kind: string, one: FuzzReadings, other: FuzzReadings): Finding[] {
  const count = Math.max(one.requests.length, other.requests.length);
  for (let i = 0; i < count; i++) {
    const [a, b] = [one.requests[i], other.requests[i]];
    const what = a === undefined || b === undefined ? 'count' : compareRequests(a, b);
    if (what !== '') return [[`${kind}: ${what}`, `request ${i}`]];
  }
  return one.end === other.end ? [] : [[`${kind}: end`, `${one.end} and ${other.end}`]];
}

/** Ours against a proxy or client on llhttp before us: it must have meant what we read. */
function inFront(own: FuzzReadings, other: FuzzReadings): Finding[] {
  for (const [i, request] of own.requests.entries()) {
    const theirs = other.requests[i];
    if (theirs === undefined) return [[`front: llhttp says ${other.end}`, `request ${i}`]];
    const what = compareRequests(request, theirs);
    if (what !== '') return [[`front: ${what}`, `request ${i}`]];
  }
  // Where we have refused or closed, what they read further does not matter.
  if (own.end !== 'more' && own.end !== 'whole') return [];
  const further = other.requests.length - own.requests.length;
  if (further > 0) return [['front: llhttp reads more requests', `${further} more`]];
  if (own.end === 'whole' && other.end !== 'whole') {
    return [[`front: llhttp says ${other.end} after what is whole`, '']];
  }
  return [];
}

/** What we forward, read by an application on llhttp and by a second proxy of ours. */
function behind(random: Random): Finding[] {
  const { forwarded } = ours;
  if (forwarded.length === 0) return [];
  const sent = Buffer.concat(forwarded.map(({ bytes }) => bytes));
  const upgrade = forwarded.at(-1)!.reading.upgrade;
  const expected = {
    requests: forwarded.map(({ reading }) => reading),
    end: upgrade ? 'upgrade' : 'whole',
  };
  theirs.begin();
  theirs.take(sent);
  // An upgrade is seen only by whoever reads on.
  if (upgrade && theirs.readings.end === 'whole') theirs.readings.end = 'upgrade';
  oursBehind.begin();
  readSplit(oursBehind, sent, random);
  return [
    ...same('behind, llhttp', expected, theirs.readings),
    ...same('behind, ours', expected, oursBehind.readings),
  ];
}
