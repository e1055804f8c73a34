// Parts that routes of every kind are compiled from: texts, durations, shares, edits of headers.
import type { MessageEditsSpec, StringMatch } from '#api/kinds/virtual-service-http.ts';
import type { Origin } from '#api/resource.ts';
import type { HeaderEdits, MessageEdits, NamedMatch, TextMatch } from '#api/traffic/route.ts';
import { isAuthorityHeader } from '#api/validate/route-values.ts';
import { millis } from './durations.ts';

/** Null, where every text will do. Istio reads a lone `*` as "is there". */
export function textMatch(match: StringMatch, ignoreCase = false): TextMatch | null {
  const { exact, prefix, regex } = match;
  if (exact !== undefined)
    return { kind: 'exact', value: exact, ...(ignoreCase && { ignoreCase }) };
  if (prefix !== undefined) {
    return { kind: 'prefix', value: prefix, ...(ignoreCase && { ignoreCase }) };
  }
  return regex === undefined || regex === '*' ? null : { kind: 'regex', value: regex };
}

export function namedMatches(
  matches: Readonly<Record<string, StringMatch>> = {},
  not = false,
): NamedMatch[] {
  return Object.entries(matches).map(([name, match]) => ({
    name,
    match: textMatch(match),
    ...(not && { not }),
  }));
}

/** 0 where nothing is written, or nothing that can be read. */
export function durationMs(text: string | undefined): number {
  return millis(text) ?? 0;
}

/** Envoy counts in millionths. @param value from 0 to 100 */
export function wholeMillionths(value: number): number {
  return Math.trunc(value * 10_000) / 10_000;
}

/** The lines of one rule alone: a route has this for each of its matches. */
export function originWithin(origin: Origin, path: string): Origin {
  const lines = Object.entries(origin.lines).filter(([at]) => at.startsWith(path));
  return { ...origin, lines: Object.fromEntries(lines) };
}

/** Null: nothing is changed. The host is left to `authorityOf`. */
export function messageEdits(spec: MessageEditsSpec | undefined): MessageEdits | null {
  const request = headerEdits(spec?.request);
  const response = headerEdits(spec?.response);
  if (request === null && response === null) return null;
  return { ...(request !== null && { request }), ...(response !== null && { response }) };
}

/** The host that header edits write, as Istio lets them; '' where they write none. */
export function authorityOf(spec: MessageEditsSpec | undefined): string {
  const { set = {}, add = {} } = spec?.request ?? {};
  const edits = [...Object.entries(set), ...Object.entries(add)];
  return edits.find(([name]) => isAuthorityHeader(name))?.[1] ?? '';
}

interface HeaderEditsSpec {
  readonly set?: Readonly<Record<string, string>>;
  readonly add?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
}

export function headerEdits(spec: HeaderEditsSpec | undefined): HeaderEdits | null {
  if (spec === undefined) return null;
  const set = editable(spec.set);
  const add = editable(spec.add);
  const remove = (spec.remove ?? []).map((name) => name.toLowerCase()).filter(isEditable);
  const edits = {
    ...(set !== null && { set }),
    ...(add !== null && { add }),
    ...(remove.length > 0 && { remove }),
  };
  return Object.keys(edits).length === 0 ? null : edits;
}

function editable(values: Readonly<Record<string, string>> = {}): Record<string, string> | null {
  const kept = Object.entries(values).filter(([name]) => isEditable(name));
  if (kept.length === 0) return null;
  return Object.fromEntries(kept.map(([name, value]) => [name.toLowerCase(), value]));
}

function isEditable(name: string): boolean {
  return !name.startsWith(':') && !isAuthorityHeader(name);
}
