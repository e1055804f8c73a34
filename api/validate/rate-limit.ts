// RateLimit: what cannot be enforced as it is written, and what is hardly meant so.
import type { Limit, LimitKey, LimitMatch, RateLimitSpec } from '../kinds/rate-limit.ts';
import { type Finding, joinIndex, joinKey } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { type Add, adder } from './adder.ts';
import { extensionFindings, isToken } from './extension.ts';
import { checkPath } from './request-match.ts';
import { durationMsOf } from './request-authentication.ts';

export const algorithms = [
  'tokenBucket',
  'leakyBucket',
  'fixedWindow',
  'slidingWindow',
  'concurrency',
  'quota',
] as const;

const code = 'rate-limit-invalid';
/** Times that an exact window remembers for each key, and for all keys of a pod together. */
const exactMax = 1000;
const exactTotalMax = 20_000_000;

export function validateRateLimit({ spec }: Resource<string, RateLimitSpec>): Finding[] {
  const findings = extensionFindings('a RateLimit', spec, code);
  const add = adder(findings, 'error', code);
  const warn = adder(findings, 'warning', 'rate-limit-doubtful');
  const names = new Set<string>();
  for (const [i, limit] of spec.limits.entries()) {
    const at = joinIndex('spec.limits', i);
    if (names.has(limit.name)) {
      add(`${at}.name`, `there are two limits "${limit.name}"`, 'give each a name of its own');
    }
    names.add(limit.name);
    checkLimit(limit, at, spec, add, warn);
  }
  checkRedis(spec, add, warn);
  return findings;
}

function checkLimit(limit: Limit, at: string, spec: RateLimitSpec, add: Add, warn: Add): void {
  if (!/^[a-zA-Z0-9][-a-zA-Z0-9_.]{0,62}$/.test(limit.name)) {
    add(`${at}.name`, `"${limit.name}" is no name`, 'use letters, digits, "-", "_" and "."');
  }
  const named = algorithms.filter((name) => limit[name] !== undefined);
  if (named.length !== 1) {
    const found = named.length === 0 ? 'none' : named.join(' and ');
    add(at, `a limit has one algorithm, and "${limit.name}" has ${found}`, algorithms.join(', '));
  }
  checkAlgorithm(limit, at, add);
  if (limit.match?.length === 0) {
    add(`${at}.match`, 'an empty match reads as nothing and would mean everything', 'remove it');
  }
  for (const [i, match] of (limit.match ?? []).entries()) {
    checkMatch(match, joinIndex(`${at}.match`, i), add);
  }
  for (const [i, key] of (limit.key ?? []).entries()) {
    checkKey(key, joinIndex(`${at}.key`, i), add, warn);
  }
  if (limit.scope === 'shared') {
    if (spec.redis === undefined) {
      add(`${at}.scope`, 'a shared limit is counted in Redis', 'add spec.redis.address');
    }
  } else if (limit.quota !== undefined) {
    const message = 'a local quota is each pod’s own, and begins anew when the pod does';
    warn(`${at}.scope`, message, 'use scope: shared');
  }
}

function checkAlgorithm(limit: Limit, at: string, add: Add): void {
  const { tokenBucket, leakyBucket, fixedWindow, slidingWindow, maxKeys, key } = limit;
  const times: readonly (readonly [string, string | undefined])[] = [
    ['tokenBucket.per', tokenBucket?.per],
    ['leakyBucket.per', leakyBucket?.per],
    ['fixedWindow.window', fixedWindow?.window],
    ['slidingWindow.window', slidingWindow?.window],
  ];
  for (const [field, text] of times) {
    if (text === undefined) continue;
    const ms = durationMsOf(text);
    if (ms !== null && ms >= 1 && ms <= 366 * 86_400_000) continue;
    add(`${at}.${field}`, `"${text}" is no time from 1ms to 8784h`, 'write it as 1s, 1m or 24h');
  }
  if (slidingWindow?.precision !== 'exact') return;
  if (slidingWindow.limit > exactMax) {
    const message = `an exact window remembers each request: ${slidingWindow.limit} are too many`;
    add(`${at}.slidingWindow.limit`, message, `at most ${exactMax}, or precision: counter`);
  } else if ((key?.length ?? 0) > 0 && slidingWindow.limit * maxKeys > exactTotalMax) {
    const message = `limit x maxKeys may be ${exactTotalMax}, and is ${slidingWindow.limit * maxKeys}`;
    add(`${at}.maxKeys`, message, 'lower maxKeys, or use precision: counter');
  }
}

function checkMatch(match: LimitMatch, at: string, add: Add): void {
  const lists = ['paths', 'notPaths', 'methods', 'hosts', 'principals', 'namespaces'] as const;
  const written = lists.filter((name) => match[name] !== undefined);
  const headers = Object.entries(match.headers ?? {});
  if (written.length === 0 && headers.length === 0) {
    add(at, 'an empty match reads as nothing and would mean everything', 'name a field, or none');
  }
  for (const name of written) {
    if (match[name]?.length === 0) add(`${at}.${name}`, `${name} has no value`);
    for (const [i, value] of (match[name] ?? []).entries()) {
      const path = joinIndex(`${at}.${name}`, i);
      if (value === '') add(path, `${name} has an empty value`);
      else if (name === 'paths' || name === 'notPaths') checkPath(value, path, add);
    }
  }
  for (const [name] of headers) {
    if (!isHeaderName(name)) add(joinKey(`${at}.headers`, name), `"${name}" is no header name`);
  }
}

const fieldsOf: Readonly<Record<LimitKey['from'], readonly string[]>> = {
  identity: [],
  namespace: [],
  header: ['name'],
  cookie: ['name'],
  claim: ['name'],
  apiKey: ['name', 'query'],
  remoteAddress: ['depth'],
  path: [],
  pathTemplate: ['templates'],
  method: [],
  host: [],
};

function checkKey(key: LimitKey, at: string, add: Add, warn: Add): void {
  const { from, name, query, templates } = key;
  const allowed = fieldsOf[from];
  for (const field of ['name', 'query', 'depth', 'templates'] as const) {
    if (key[field] === undefined || allowed.includes(field)) continue;
    add(`${at}.${field}`, `a key from ${from} has no ${field}`, 'remove the line');
  }
  if (['header', 'cookie', 'claim'].includes(from) && (name ?? '') === '') {
    add(at, `a key from ${from} needs its name`, `add name: the name of the ${from}`);
  }
  if (['header', 'apiKey'].includes(from) && name !== undefined && !isHeaderName(name)) {
    add(`${at}.name`, `"${name}" is no header name`);
  }
  if (from === 'apiKey' && name !== undefined && query !== undefined) {
    add(at, 'an API key comes from a header or from a query parameter, not from both');
  }
  if (from === 'pathTemplate') {
    if ((templates ?? []).length === 0) add(at, 'a key from pathTemplate needs templates');
    for (const [i, value] of (templates ?? []).entries()) {
      checkPath(value, joinIndex(`${at}.templates`, i), add);
    }
  }
  if (from === 'path') {
    const message = 'each path is counted apart, and callers make up as many as they like';
    warn(at, message, 'use from: pathTemplate');
  }
}

function checkRedis({ redis, limits }: RateLimitSpec, add: Add, warn: Add): void {
  if (redis === undefined) return;
  const port = Number(/^.+:(\d{1,5})$/.exec(redis.address)?.[1] ?? 0);
  if (port < 1 || port > 65_535) {
    add('spec.redis.address', `"${redis.address}" is no host:port`, 'write redis.cache:6379');
  }
  const timeoutMs = durationMsOf(redis.timeout);
  if (timeoutMs === null || timeoutMs < 1 || timeoutMs > 10_000) {
    add('spec.redis.timeout', `"${redis.timeout}" is no time from 1ms to 10s`, 'write it as 20ms');
  }
  if (!limits.some(({ scope }) => scope === 'shared')) {
    warn('spec.redis', 'no limit has scope: shared, so Redis is not used');
  }
}

function isHeaderName(name: string): boolean {
  return isToken(name.replace(/^:/, ''));
}
