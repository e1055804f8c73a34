// Envoy's command operators in values of headers: `%REQ(x-user)%`, `%PROTOCOL%`, `%START_TIME%`.

import { formatAddress } from '#runtime/plain-address.ts';

import type { Exchange, ResponseView } from '../exchange.ts';
import { headerText, joined } from './query.ts';

/** Gives the text of one operator; '' when there is nothing to say. */
export type Variable = (x: Exchange, response: ResponseView | null) => string;

/** A text without operators, or the parts of one that has some. */
export type Template = string | readonly (string | Variable)[];

/** Reads a value. `%%` is a percent sign; what is no operator that we know stays as it is written. */
export function readTemplate(value: string): Template {
  if (!value.includes('%')) return value;
  const parts: (string | Variable)[] = [];
  const put = (part: string | Variable): void => {
    const last = parts.at(-1);
    if (typeof part === 'string' && typeof last === 'string') parts[parts.length - 1] = last + part;
    else parts.push(part);
  };
  for (const [token] of value.matchAll(/%%|%[A-Z0-9_]+(?:\([^()]*\))?(?::\d+)?%|[^%]+|%/g)) {
    if (token === '%%') put('%');
    else put(token.length > 1 && token.startsWith('%') ? (variable(token) ?? token) : token);
  }
  const [only] = parts;
  return parts.length === 1 && typeof only === 'string' ? only : parts;
}

/** @param response null while the request is edited */
export function textOf(template: Template, x: Exchange, response: ResponseView | null): string {
  if (typeof template === 'string') return template;
  let text = '';
  for (const part of template) text += typeof part === 'string' ? part : part(x, response);
  return text;
}

function variable(token: string): Variable | null {
  const match = /^%([A-Z0-9_]+)(?:\(([^()]*)\))?(?::(\d+))?%$/.exec(token);
  if (match === null) return null;
  const [, name = '', argument, length] = match;
  const found = argument === undefined ? (plain.get(name) ?? null) : withArgument(name, argument);
  if (found === null || length === undefined) return found;
  return (x, response) => found(x, response).slice(0, Number(length));
}

function withArgument(name: string, argument: string): Variable | null {
  // `first?second`: the second where there is no first.
  const [first = '', second = ''] = argument.toLowerCase().split('?');
  if (name === 'REQ') {
    return ({ request }) =>
      headerText(request, first) ?? (second === '' ? '' : (headerText(request, second) ?? ''));
  }
  if (name !== 'RESP') return null;
  return (_x, response) => {
    if (response === null) return '';
    return (
      responseText(response, first) ?? (second === '' ? '' : (responseText(response, second) ?? ''))
    );
  };
}

function responseText(response: ResponseView, name: string): string | null {
  return name === ':status' ? String(response.status) : joined(response.values(name), name);
}

const plain: ReadonlyMap<string, Variable> = new Map<string, Variable>([
  ['PROTOCOL', (x) => x.protocol],
  ['START_TIME', (x) => new Date(performance.timeOrigin + x.startedAtMs).toISOString()],
  ['UPSTREAM_HOST', (x) => x.upstreamAddress],
  ['UPSTREAM_REMOTE_ADDRESS', (x) => x.upstreamAddress],
  ['UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', (x) => withoutPort(x.upstreamAddress)],
  [
    'DOWNSTREAM_REMOTE_ADDRESS',
    ({ downstream: d }) => formatAddress(d.remoteAddress, d.remotePort),
  ],
  ['DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT', (x) => x.downstream.remoteAddress],
  ['DOWNSTREAM_REMOTE_PORT', (x) => String(x.downstream.remotePort)],
  [
    'DOWNSTREAM_DIRECT_REMOTE_ADDRESS',
    ({ downstream: d }) => formatAddress(d.remoteAddress, d.remotePort),
  ],
  ['DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT', (x) => x.downstream.remoteAddress],
  ['DOWNSTREAM_LOCAL_ADDRESS', ({ downstream: d }) => formatAddress(d.localAddress, d.localPort)],
  ['DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT', (x) => x.downstream.localAddress],
  ['DOWNSTREAM_LOCAL_PORT', (x) => String(x.downstream.localPort)],
  ['DOWNSTREAM_PEER_URI_SAN', (x) => x.downstream.facts.identities.join(',')],
  ['REQUESTED_SERVER_NAME', (x) => x.downstream.facts.sni],
  ['STREAM_ID', (x) => x.requestId],
  ['RESPONSE_CODE', (_x, response) => (response === null ? '' : String(response.status))],
  ['RESPONSE_CODE_DETAILS', (x) => x.details],
]);

function withoutPort(address: string): string {
  return address.replace(/:\d+$/, '').replaceAll(/[[\]]/g, '');
}
