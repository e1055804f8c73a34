// B3, the headers of Zipkin: read and written in both forms, one line or several (openzipkin/b3-propagation).
import type { RequestView } from '../../exchange.ts';
import type { Trace } from '../trace-context.ts';

/** What a caller says in B3. A form that is malformed says nothing and is not among `single` and `several`. */
export interface B3 {
  /** 32 hex digits, 64-bit ones padded; '': only the decision is told. */
  readonly traceId: string;
  /** The caller's span: 16 hex digits; '' without a trace. */
  readonly spanId: string;
  /** Null: left to whoever comes next. */
  readonly sampled: boolean | null;
  /** Sampled, and meant to be by a person. */
  readonly debug: boolean;
  /** It came as `b3: …`. */
  readonly single: boolean;
  /** It came as `x-b3-traceid: …` and its like. */
  readonly several: boolean;
}

const singleName = 'b3';
const severalPrefix = 'x-b3-';
const names = {
  traceId: 'x-b3-traceid',
  spanId: 'x-b3-spanid',
  parentId: 'x-b3-parentspanid',
  sampled: 'x-b3-sampled',
  flags: 'x-b3-flags',
} as const;

/** Null: there is none. The single line wins where both forms are there, as the specification asks. */
export function readB3(request: RequestView): B3 | null {
  const lines = request.values(singleName);
  const hasSeveral = request.hasPrefix(severalPrefix);
  if (lines.length === 0 && !hasSeveral) return null;
  const single = lines.length === 1 ? parseSingle(lines[0] ?? '') : null;
  const several = hasSeveral ? readSeveral(request) : null;
  const told = single ?? several;
  if (told === null) return null;
  return {
    traceId: told.traceId,
    spanId: told.spanId,
    sampled: told.sampled,
    debug: told.debug,
    single: single !== null,
    several: several !== null,
  };
}

/** Writes our span in the forms that came. @param trace its decision is the one that is told */
export function writeB3(request: RequestView, came: B3, trace: Trace): void {
  const { traceId, spanId, parentId, sampled } = trace;
  const debug = came.debug && sampled;
  if (came.single) {
    request.remove(singleName);
    const state = debug ? 'd' : sampled ? '1' : '0';
    const parent = parentId === '' ? '' : `-${parentId}`;
    request.append(singleName, `${traceId}-${spanId}-${state}${parent}`);
  }
  if (!came.several) return;
  for (const name of Object.values(names)) request.remove(name);
  request.append(names.traceId, traceId);
  request.append(names.spanId, spanId);
  if (parentId !== '') request.append(names.parentId, parentId);
  if (debug) request.append(names.flags, '1');
  else request.append(names.sampled, sampled ? '1' : '0');
}

export function removeB3(request: RequestView): void {
  request.remove(singleName);
  if (request.hasPrefix(severalPrefix))
    for (const name of Object.values(names)) request.remove(name);
}

type Told = Omit<B3, 'single' | 'several'>;

const decisions: Readonly<Record<string, Told>> = {
  '0': decision(false, false),
  '1': decision(true, false),
  d: decision(true, true),
};

/** `TRACE-SPAN[-STATE[-PARENT]]`, or the state alone. Null: it is none. */
export function parseSingle(value: string): Told | null {
  const alone = value.length === 1 ? decisions[value] : undefined;
  if (alone !== undefined) return alone;
  const parts = value.split('-', 5);
  const [traceId = '', spanId = '', state, parentId] = parts;
  if (parts.length > 4 || !isTraceId(traceId) || !isId(spanId, 16)) return null;
  if (parentId !== undefined && !isId(parentId, 16)) return null;
  const decided = state === undefined ? null : decisions[state];
  if (decided === undefined) return null;
  return {
    traceId: traceId.padStart(32, '0'),
    spanId,
    sampled: decided === null ? null : decided.sampled,
    debug: decided?.debug ?? false,
  };
}

function readSeveral(request: RequestView): Told | null {
  const traceId = only(request, names.traceId);
  const spanId = only(request, names.spanId);
  const sampled = only(request, names.sampled);
  const flags = only(request, names.flags);
  if (traceId === null || spanId === null || sampled === null || flags === null) return null;
  const debug = flags === '1';
  const decided = debug ? true : decisionOf(sampled);
  if (traceId === '' && spanId === '') {
    return decided === null || decided === 'none' ? null : decision(decided, debug);
  }
  if (!isTraceId(traceId) || !isId(spanId, 16) || decided === 'none') return null;
  return { traceId: traceId.padStart(32, '0'), spanId, sampled: decided, debug };
}

/** The one value of a header; '' without one; null: there are several, and nobody knows which is meant. */
function only(request: RequestView, name: string): string | null {
  const values = request.values(name);
  return values.length > 1 ? null : (values[0] ?? '');
}

/** `true` and `false` are of older tracers. */
function decisionOf(value: string): boolean | null | 'none' {
  if (value === '') return null;
  if (value === '1' || value === 'true') return true;
  return value === '0' || value === 'false' ? false : 'none';
}

function decision(sampled: boolean, debug: boolean): Told {
  return { traceId: '', spanId: '', sampled, debug };
}

function isTraceId(text: string): boolean {
  return isId(text, 32) || isId(text, 16);
}

/** Lower-case hex digits, not all zero. */
function isId(text: string, length: number): boolean {
  if (text.length !== length) return false;
  let bits = 0;
  for (let i = 0; i < length; i++) {
    const char = text.charCodeAt(i);
    const isDigit = char >= 0x30 && char <= 0x39;
    if (!isDigit && (char < 0x61 || char > 0x66)) return false;
    bits |= char ^ 0x30;
  }
  return bits !== 0;
}
