// What several fields of routes hold: hosts, gateways, headers, durations, labels. Each check gives the reason or null.
import { STATUS_CODES } from 'node:http';

import type { Add } from './adder.ts';
import { isDnsLabel } from './domain-names.ts';
import { durationMsOf } from './request-authentication.ts';
import { isIp } from './values.ts';

const WILDCARD_LABEL = /^(\*|(\*|\*-)?[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)$/;

/** Why a text is no host name, whose first label may be a `*`; null when it is one. */
export function wildcardHostFault(host: string): string | null {
  if (host === '') return 'a host may not be empty';
  if (host.length > 255) return `"${host.slice(0, 60)}…" is longer than 255 characters`;
  const [first = '', ...rest] = host.split('.');
  if (!WILDCARD_LABEL.test(first))
    return `"${host}" is no host name: "${first}" is no label of one`;
  return rest.length === 0 ? null : labelsFault(host, rest);
}

/** As `wildcardHostFault`, for names that are called: an address is one too. */
export function calledHostFault(host: string): string | null {
  return isIp(host) ? null : wildcardHostFault(host);
}

function labelsFault(host: string, labels: readonly string[]): string | null {
  const last = labels.at(-1) ?? '';
  if (/^[+-]?\d+$/.test(last)) return `"${host}" is no host name: it ends in a number`;
  // One dot at the end is the root of all names.
  const named = last === '' ? labels.slice(0, -1) : labels;
  const wrong = named.find((label) => !isDnsLabel(label));
  return wrong === undefined ? null : `"${host}" is no host name: "${wrong}" is no label of one`;
}

/** Why a text is no name of a gateway, as `namespace/name` or `name`; null when it is one. */
export function gatewayFault(gateway: string): string | null {
  const cut = gateway.indexOf('/');
  if (cut === -1) {
    const wrong =
      gateway === '' ? 'a gateway may not be empty' : labelsFault(gateway, gateway.split('.'));
    return wrong;
  }
  const [namespace, name] = [gateway.slice(0, cut), gateway.slice(cut + 1)];
  if (isDnsLabel(namespace) && isDnsLabel(name)) return null;
  return `"${gateway}" is no gateway: write it as namespace/name`;
}

/** Why a text is no duration of whole milliseconds from 1ms; null when it is one. */
export function durationFault(text: string): string | null {
  const ms = durationMsOf(text);
  if (ms === null) return `"${text}" is no duration`;
  if (ms < 1) return `"${text}" is shorter than 1ms`;
  return Number.isInteger(ms) ? null : `"${text}" is no whole number of milliseconds`;
}

const HEADER = /^[-_A-Za-z0-9]+$/;
const pseudoHeaders = new Set([':method', ':scheme', ':authority', ':path', ':status']);

/** Of a header in a match; claims of a token (`@request.auth.claims`) pass. */
export function matchedHeaderFault(name: string): string | null {
  if (name === '') return 'the name of a header may not be empty';
  if (pseudoHeaders.has(name) || isClaim(name)) return null;
  return HEADER.test(name) ? null : `"${name}" is no header name`;
}

/** A match of claims of a verified token, which only gateways make. */
export function isClaim(name: string): boolean {
  return /^@request\.auth\.claims[.[]/i.test(name);
}

export function isAuthorityHeader(name: string): boolean {
  return /^(:authority|host)$/i.test(name);
}

/** Of a header that is changed. @param authority whether it may be the host */
export function editedHeaderFault(name: string, authority: boolean): string | null {
  if (name === '') return 'the name of a header may not be empty';
  if (isAuthorityHeader(name)) {
    if (authority) return null;
    return `"${name}" cannot be changed here: the host is changed by rewrite.authority`;
  }
  return name.startsWith(':') ? `"${name}" is no header that can be changed` : null;
}

/** Envoy replaces `%NAME%` and `%NAME(argument)%` in values; `%%` is a percent sign. */
const COMMAND = /%%|%[^%(]*(\([^)]*\)\s*)?%/g;

export function headerValueFault(value: string): string | null {
  // oxlint-disable-next-line no-control-regex -- RFC 9110: no control characters but the tab
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) return 'a value has a control character';
  if (!value.replaceAll(COMMAND, '').includes('%')) return null;
  return `"${value}" has a lone "%"`;
}

/** Envoy's conditions that need no further settings. */
const retryWords = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

export function retryWordFault(word: string): string | null {
  if (retryWords.has(word)) return null;
  if (/^\d{3}$/.test(word) && word !== '509' && STATUS_CODES[word] !== undefined) return null;
  return `"${word}" is no condition of retryOn`;
}

export const retryConditions: readonly string[] = [...retryWords];

const grpcStatuses = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

/** Number of a status of gRPC by its name; undefined: there is none of that name. */
export function grpcStatusOf(name: string): number | undefined {
  const found = grpcStatuses.indexOf(name);
  return found === -1 ? undefined : found;
}

export const grpcStatusNames: readonly string[] = grpcStatuses;

/** Why labels are none of Kubernetes'; null when they are. */
export function labelsOfFault(labels: Readonly<Record<string, string>>): string | null {
  for (const [key, value] of Object.entries(labels)) {
    const bare = key.slice(key.indexOf('/') + 1);
    if (!/^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(bare)) {
      return `"${key}" is no name of a label`;
    }
    if (!/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/.test(value)) {
      return `"${value}" is no value of a label`;
    }
  }
  return null;
}

/** Reports what is wrong with exportTo as in Istio. @param own the resource's namespace */
export function checkExportTo(exportTo: readonly string[], own: string, add: Add): void {
  const seen = new Set<string>();
  for (const [i, word] of exportTo.entries()) {
    const path = `spec.exportTo[${i}]`;
    const meant = word === '.' ? own : word;
    if (seen.has(meant)) add(path, `exportTo has "${word}" twice`, 'remove one of them');
    seen.add(meant);
    if (meant !== '*' && !isDnsLabel(meant)) {
      add(path, `exportTo: "${word}" is no namespace`, 'write ".", "*" or a namespace');
    }
  }
  if (seen.has('*') && exportTo.length > 1) {
    add('spec.exportTo', 'exportTo has "*" beside others', 'keep "*" alone, or remove it');
  }
}
