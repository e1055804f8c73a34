// Redirects, answers, retries, faults and CORS of a VirtualService: what Istio's validating webhook refuses.
import type {
  CorsPolicySpec,
  FaultSpec,
  HttpRule,
  RetriesSpec,
} from '../kinds/virtual-service-http.ts';
import { joinIndex } from '../origin.ts';
import { nearest } from '../spelling.ts';
import type { Add } from './adder.ts';
import { regexFault } from './regex.ts';
import {
  durationFault,
  grpcStatusNames,
  grpcStatusOf,
  retryConditions,
  retryWordFault,
} from './route-values.ts';
import { durationMsOf } from './request-authentication.ts';

export function checkRedirect({ redirect, match = [] }: HttpRule, at: string, add: Add): void {
  if (redirect === undefined) return;
  const { uri = '', prefixRewrite = '', authority = '', scheme = '' } = redirect;
  const { port, derivePort, redirectCode = 0 } = redirect;
  if (uri !== '' && prefixRewrite !== '') {
    add(at, 'uri stands beside prefixRewrite', 'remove one of them');
  }
  if (port !== undefined && derivePort !== undefined) {
    add(at, 'port stands beside derivePort', 'remove one of them');
  }
  if (prefixRewrite !== '') {
    const without = match.findIndex((one) => one.uri !== undefined && one.uri.prefix === undefined);
    const mend = 'match a prefix of the path, or write uri';
    if (without !== -1)
      add(at, `prefixRewrite needs a prefix, and match[${without}] has none`, mend);
  }
  const changed = [uri, prefixRewrite, authority, scheme, port ?? '', derivePort ?? ''];
  if (changed.every((one) => one === '')) {
    add(at, 'the redirect changes nothing', 'add uri, authority, scheme or port');
  }
  if (redirectCode !== 0 && ![301, 302, 303, 307, 308].includes(redirectCode)) {
    add(
      `${at}.redirectCode`,
      `${redirectCode} is no status of a redirect`,
      'write 301, 302, 303, 307 or 308',
    );
  }
  if (scheme !== '' && scheme !== 'http' && scheme !== 'https') {
    add(`${at}.scheme`, `"${scheme}" is neither http nor https`);
  }
  if (port !== undefined && port > 65_535) add(`${at}.port`, `${port} is no port from 1 to 65535`);
}

/** Bytes that one answer may have: it is in the snapshot of every caller. */
const bodyBytesMax = 1024 * 1024;

export function checkResponse(response: HttpRule['directResponse'], at: string, add: Add): void {
  if (response === undefined) return;
  const { status, body } = response;
  if (status < 200 || status > 599) add(`${at}.status`, `${status} is no status from 200 to 599`);
  const { string, bytes } = body ?? {};
  if (string !== undefined && bytes !== undefined) {
    add(`${at}.body`, 'string stands beside bytes', 'remove one of them');
  }
  const size = Buffer.byteLength(string ?? '') + Buffer.byteLength(bytes ?? '', 'base64');
  if (size > bodyBytesMax) add(`${at}.body`, `a body may have ${bodyBytesMax} bytes, not ${size}`);
}

export function checkRetries(retries: RetriesSpec | undefined, at: string, add: Add): void {
  if (retries === undefined) return;
  const { attempts = 0, perTryTimeout, retryOn = '', retryRemoteLocalities, backoff } = retries;
  if (attempts < 0) add(`${at}.attempts`, 'attempts may not be below 0');
  const said = perTryTimeout !== undefined || retryOn !== '' || retryRemoteLocalities !== undefined;
  if (attempts === 0 && said) {
    add(at, 'attempts is 0, which switches retries off', 'write attempts, or remove the rest');
  }
  for (const [field, text] of Object.entries({ perTryTimeout, backoff })) {
    const fault = text === undefined ? null : durationFault(text);
    if (fault !== null) add(`${at}.${field}`, fault, 'write it as 2s or 25ms');
  }
  if (retryOn === '') return;
  for (const word of retryOn.split(',')) {
    const fault = retryWordFault(word);
    if (fault === null) continue;
    const bare = word.trim();
    const similar = retryWordFault(bare) === null ? bare : nearest(bare, retryConditions);
    const mend = similar === null ? undefined : `write ${similar}, without blanks`;
    add(`${at}.retryOn`, fault, mend);
  }
}

export function checkFault(fault: FaultSpec | undefined, at: string, add: Add): void {
  if (fault === undefined) return;
  const { delay, abort } = fault;
  if (delay === undefined && abort === undefined) add(at, 'the fault has neither delay nor abort');
  checkPercentage(delay?.percentage, `${at}.delay.percentage`, add);
  checkPercentage(abort?.percentage, `${at}.abort.percentage`, add);
  if (delay?.exponentialDelay !== undefined) {
    add(`${at}.delay.exponentialDelay`, 'exponentialDelay is not supported', 'write fixedDelay');
  }
  const wrong = delay?.fixedDelay === undefined ? null : durationFault(delay.fixedDelay);
  if (wrong !== null) add(`${at}.delay.fixedDelay`, wrong, 'write it as 5s or 500ms');
  if (abort === undefined) return;
  const { httpStatus, grpcStatus, http2Error } = abort;
  if ([httpStatus, grpcStatus, http2Error].filter((one) => one !== undefined).length > 1) {
    add(`${at}.abort`, 'only one of httpStatus and grpcStatus may be there', 'keep one of them');
  }
  if (http2Error !== undefined) add(`${at}.abort.http2Error`, 'http2Error is not supported');
  if (httpStatus !== undefined && (httpStatus < 200 || httpStatus > 599)) {
    add(`${at}.abort.httpStatus`, `${httpStatus} is no status from 200 to 599`);
  }
  if (grpcStatus !== undefined && grpcStatusOf(grpcStatus) === undefined) {
    const similar = nearest(grpcStatus, grpcStatusNames);
    const mend = similar === null ? 'write a name, as UNAVAILABLE' : `did you mean ${similar}?`;
    add(`${at}.abort.grpcStatus`, `"${grpcStatus}" is no status of gRPC`, mend);
  }
}

/** Envoy counts in millionths: less than one is nothing. */
function checkPercentage(share: { value: number } | undefined, at: string, add: Add): void {
  const { value } = share ?? { value: 0 };
  if (value < 0 || value > 100 || (value > 0 && value < 0.0001)) {
    add(`${at}.value`, `${value} % is neither 0 nor from 0.0001 to 100`);
  }
}

const methods = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  '*',
];

export function checkCors(policy: CorsPolicySpec | undefined, at: string, add: Add): void {
  if (policy === undefined) return;
  for (const [i, origin] of (policy.allowOrigins ?? []).entries()) {
    const { exact = '', prefix = '', regex = '' } = origin;
    const path = joinIndex(`${at}.allowOrigins`, i);
    if (`${exact}${prefix}${regex}` === '')
      add(path, 'the origin is empty', 'write exact or regex');
    const fault = regex === '' ? null : regexFault(regex);
    if (fault !== null) add(`${path}.regex`, fault);
  }
  for (const [i, method] of (policy.allowMethods ?? []).entries()) {
    if (methods.includes(method)) continue;
    add(joinIndex(`${at}.allowMethods`, i), `"${method}" is no method`, 'write it as GET');
  }
  for (const field of ['allowHeaders', 'exposeHeaders'] as const) {
    for (const [i, name] of (policy[field] ?? []).entries()) {
      if (name === '*' || /^[-_A-Za-z0-9]+$/.test(name)) continue;
      add(joinIndex(`${at}.${field}`, i), `"${name}" is no header name`);
    }
  }
  if (policy.maxAge === undefined) return;
  const fault = durationFault(policy.maxAge);
  if (fault !== null) add(`${at}.maxAge`, fault, 'write it as 24h');
  else if ((durationMsOf(policy.maxAge) ?? 0) % 1000 !== 0) {
    add(`${at}.maxAge`, `"${policy.maxAge}" is no whole number of seconds`);
  }
}
