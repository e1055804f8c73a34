// ApiKeyAuthentication: what cannot be enforced as it is written, and what is hardly meant so.
import type {
  ApiKeyAuthenticationSpec,
  ApiKeyConsumer,
  ApiKeyMatch,
  ApiKeyPlace,
} from '../kinds/api-key-authentication.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { type Add, adder } from './adder.ts';
import { extensionFindings, isToken } from './extension.ts';
import { checkPath } from './request-match.ts';

/** Names and hashes: everything is in the snapshot of each sidecar. */
const hashesMax = 10_000;
const code = 'api-key-invalid';
/** Whoever has them cut, or put in, takes the call over. */
const ownHeaders =
  /^(host|connection|content-length|transfer-encoding|x-forwarded-client-cert|:.*)$/i;

export function validateApiKeyAuthentication({
  spec,
}: Resource<string, ApiKeyAuthenticationSpec>): Finding[] {
  const findings = extensionFindings('ApiKeyAuthentication', spec, code);
  const add = adder(findings, 'error', code);
  const warn = adder(findings, 'warning', 'api-key-doubtful');
  if (spec.match?.length === 0) {
    add('spec.match', 'an empty match reads as nothing and would mean everything', 'remove it');
  }
  for (const [i, match] of (spec.match ?? []).entries()) {
    checkMatch(match, joinIndex('spec.match', i), add);
  }
  if (spec.from?.length === 0) {
    add('spec.from', 'an empty list of places would find no key', 'remove it, or name a header');
  }
  for (const [i, place] of (spec.from ?? []).entries()) {
    checkPlace(place, joinIndex('spec.from', i), add, warn);
  }
  checkConsumers(spec, add);
  const header = spec.forwardConsumerHeader;
  if (header !== '' && (!isToken(header) || ownHeaders.test(header))) {
    add('spec.forwardConsumerHeader', `"${header}" cannot tell the name of the caller`);
  }
  if ((spec.from ?? []).some((place) => place.header?.toLowerCase() === header.toLowerCase())) {
    add('spec.forwardConsumerHeader', `the key itself comes in ${header}`, 'use another header');
  }
  if (spec.consumers.length === 0 && (spec.secrets ?? []).length === 0) {
    const message = 'no key is known, so every request that needs one is refused';
    warn('spec.consumers', message, 'add consumers with hashes, or secrets');
  }
  return findings;
}

function checkMatch(match: ApiKeyMatch, at: string, add: Add): void {
  const fields = ['paths', 'notPaths', 'methods', 'hosts'] as const;
  if (fields.every((name) => match[name] === undefined)) {
    add(at, 'an empty match reads as nothing and would mean everything', 'name paths or so');
  }
  for (const name of fields) {
    if (match[name]?.length === 0) add(`${at}.${name}`, `${name} is an empty list`);
    for (const [i, value] of (match[name] ?? []).entries()) {
      const path = joinIndex(`${at}.${name}`, i);
      if (value === '') add(path, `${name} has an empty value`);
      else if (name === 'paths' || name === 'notPaths') checkPath(value, path, add);
    }
  }
}

function checkPlace(place: ApiKeyPlace, at: string, add: Add, warn: Add): void {
  const { header, query, cookie, prefix } = place;
  const named = [header, query, cookie].filter((name) => name !== undefined);
  if (named.length !== 1) {
    add(at, 'a place is one of header, query and cookie', 'write an item of the list for each');
  }
  if (header !== undefined && (!isToken(header) || ownHeaders.test(header))) {
    add(`${at}.header`, `"${header}" is no header for a key`);
  }
  if (query === '') add(`${at}.query`, 'the parameter has no name');
  if (cookie !== undefined && !isToken(cookie)) add(`${at}.cookie`, `"${cookie}" is no cookie`);
  if (prefix !== undefined && header === undefined) {
    add(`${at}.prefix`, 'only a header has a prefix', 'remove the line');
  }
  if (query !== undefined) {
    const message = 'a key in the query gets into access logs and histories of browsers';
    warn(`${at}.query`, message, 'use a header where clients can');
  }
}

function checkConsumers({ consumers }: ApiKeyAuthenticationSpec, add: Add): void {
  const names = new Set<string>();
  const owners = new Map<string, string>();
  for (const [i, consumer] of consumers.entries()) {
    const at = joinIndex('spec.consumers', i);
    if (names.has(consumer.name)) add(`${at}.name`, `there are two consumers "${consumer.name}"`);
    names.add(consumer.name);
    if (!isConsumerName(consumer.name)) {
      add(`${at}.name`, `"${consumer.name}" is no name`, 'use letters, digits, "-", "_" and "."');
    }
    checkHashes(consumer, at, owners, add);
  }
  if (owners.size > hashesMax) {
    add('spec.consumers', `at most ${hashesMax} keys are allowed`, 'use JSON web tokens for more');
  }
}

/** Also what names of values in a Secret can be. */
export function isConsumerName(name: string): boolean {
  return /^[a-zA-Z0-9][-a-zA-Z0-9_.@]{0,252}$/.test(name);
}

function checkHashes(
  { name, hashes }: ApiKeyConsumer,
  at: string,
  owners: Map<string, string>,
  add: Add,
): void {
  if (hashes.length === 0) add(`${at}.hashes`, `"${name}" has no key`, 'add the hash of one');
  for (const [i, hash] of hashes.entries()) {
    const path = joinIndex(`${at}.hashes`, i);
    if (!/^[\da-f]{64}$/i.test(hash)) {
      const mend = "printf %s KEY | sha256sum; keys themselves don't belong here";
      add(path, 'this is no SHA-256 in hexadecimal', mend);
      continue;
    }
    const owner = owners.get(hash.toLowerCase());
    if (owner !== undefined) add(path, `it is also a key of "${owner}"`, 'give each its own');
    owners.set(hash.toLowerCase(), name);
  }
}
