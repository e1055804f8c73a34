// Header edits of a route, compiled: what is removed, set and added, in Envoy's order.
import type { HeaderEdits, MessageEdits } from '#api/traffic/route.ts';

import type { Exchange, RequestView, ResponseView } from '../exchange.ts';
import { isKnown } from '../wire/names.ts';
import { readTemplate, textOf, type Template } from './header-variables.ts';
import { fieldText } from './wire-text.ts';

const token = /^[\w!#$%&'*+.^`|~-]+$/;

export interface CompiledEdits {
  readonly request: HeadEdit | null;
  readonly response: HeadEdit | null;
  /** What `Host` is set to; '' leaves it. Set with the rewrite, which may have another one. */
  readonly authority: string;
}

/** All that is removed goes first, all that is added comes last. */
export interface HeadEdit {
  readonly remove: readonly string[];
  readonly set: readonly (readonly [name: string, value: Template])[];
  readonly add: readonly (readonly [name: string, value: Template])[];
  /** A value depends on the exchange: all are made before the first is written. */
  readonly varies: boolean;
}

/** Null when none of them edits anything. */
export function compileEdits(edits: readonly MessageEdits[]): CompiledEdits | null {
  const request = compileHead(edits.flatMap((edit) => edit.request ?? []));
  const response = compileHead(edits.flatMap((edit) => edit.response ?? []));
  const authority = edits.map((edit) => authorityOf(edit.request)).find((name) => name !== '');
  if (request === null && response === null && authority === undefined) return null;
  return { request, response, authority: authority ?? '' };
}

/** @param edits of a route or destination, applied before its path is rewritten */
export function applyRequestEdits({ request }: CompiledEdits, x: Exchange): void {
  if (request !== null) apply(request, x.request, x, null);
}

export function applyResponseEdits(
  { response: edit }: CompiledEdits,
  x: Exchange,
  response: ResponseView,
): void {
  if (edit !== null) apply(edit, response, x, response);
}

/**
 * Lines `name: value\r\n` for an answer of our own: a redirect or a text that a route says. As in
 * heads that are passed on, framing is the engine's own, and what is no name is no line.
 */
export function replyLines({ response }: CompiledEdits, x: Exchange): string {
  if (response === null) return '';
  let lines = '';
  for (const [name, value] of [...response.set, ...response.add]) {
    const text = textOf(value, x, null);
    if (text === '' || isKnown(name) || !token.test(name)) continue;
    lines += `${name}: ${fieldText(text)}\r\n`;
  }
  return lines;
}

function apply(
  { remove, set, add, varies }: HeadEdit,
  head: Pick<RequestView | ResponseView, 'remove' | 'append'>,
  x: Exchange,
  response: ResponseView | null,
): void {
  for (const name of remove) head.remove(name);
  // Values are made of the head as it came, whatever the edits before them in the list say.
  const read = ([name, value]: readonly [string, Template]): readonly [string, string] => [
    name,
    textOf(value, x, response),
  ];
  const settled = varies ? set.map(read) : set;
  const added = varies ? add.map(read) : add;
  for (const [name, value] of settled) {
    // As in Envoy, an empty value edits nothing.
    if (value === '' || typeof value !== 'string') continue;
    head.remove(name);
    head.append(name, value);
  }
  for (const [name, value] of added) {
    if (value !== '' && typeof value === 'string') head.append(name, value);
  }
}

function compileHead(edits: readonly HeaderEdits[]): HeadEdit | null {
  const remove = edits.flatMap((edit) => (edit.remove ?? []).map(lower)).filter(isEditable);
  const set = edits.flatMap((edit) => templates(edit.set));
  const add = edits.flatMap((edit) => templates(edit.add));
  if (remove.length + set.length + add.length === 0) return null;
  const varies = [...set, ...add].some(([, value]) => typeof value !== 'string');
  return { remove, set, add, varies };
}

/** By name, as Istio sorts them. */
function templates(values: Readonly<Record<string, string>> = {}): [string, Template][] {
  return Object.entries(values)
    .map(([name, value]): [string, Template] => [lower(name), readTemplate(value)])
    .filter(([name]) => isEditable(name))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function authorityOf(edits: HeaderEdits | undefined): string {
  for (const values of [edits?.set, edits?.add]) {
    for (const [name, value] of Object.entries(values ?? {})) {
      if (lower(name) === 'host' || lower(name) === ':authority') return value;
    }
  }
  return '';
}

function isEditable(name: string): boolean {
  return name !== 'host' && !name.startsWith(':');
}

function lower(name: string): string {
  return name.toLowerCase();
}
