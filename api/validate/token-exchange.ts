// TokenExchange: what cannot be done as it is written, and what is hardly meant so.
import type { TokenExchangeSpec } from '../kinds/token-exchange.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { type Add, adder } from './adder.ts';
import { extensionFindings } from './extension.ts';
import { durationMsOf } from './request-authentication.ts';

const code = 'token-exchange-invalid';
/** Whoever has that token can ask our CA for the workload's identity. */
const ownToken = /^\/var\/run\/secrets\/(tokens|selvage)\//;

export function validateTokenExchange({ spec }: Resource<string, TokenExchangeSpec>): Finding[] {
  const findings = extensionFindings('TokenExchange', spec, code);
  const add = adder(findings, 'error', code);
  const warn = adder(findings, 'warning', 'token-exchange-doubtful');
  for (const [i, host] of spec.hosts.entries()) {
    const fault = hostFault(host);
    if (fault !== null) add(joinIndex('spec.hosts', i), fault, 'write payments.shop or *.shop');
  }
  checkEndpoint(spec, add, warn);
  checkSubject(spec, add);
  checkClient(spec, add);
  for (const [i, scope] of (spec.scopes ?? []).entries()) {
    // RFC 6749 section 3.3.
    if (!/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope)) {
      add(joinIndex('spec.scopes', i), `"${scope}" is no scope`, 'an item of the list for each');
    }
  }
  checkDuration(spec.timeout, 'spec.timeout', 1, add);
  checkDuration(spec.cache.skew, 'spec.cache.skew', 0, add);
  if (spec.audience === undefined && spec.resource === undefined && spec.scopes === undefined) {
    const message = 'the new token is for nobody in particular: audience, resource and scopes lack';
    warn('spec.audience', message, 'name the audience, so that the token is good for it alone');
  }
  if (spec.onFailure === 'allow') {
    const message = 'calls go with the token that came when there is no new one';
    warn('spec.onFailure', message, 'use deny, unless the callee takes both');
  }
  return findings;
}

/** Null: it is a host that calls can name. */
function hostFault(host: string): string | null {
  const name = host.startsWith('*.') ? host.slice(2) : host;
  if (host === '*') return '"*" would give the token to everyone who is called';
  const isName =
    /^(?=.{1,253}$)[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?)*$/i;
  if (isName.test(name)) return null;
  return `"${host}" is no host`;
}

function checkEndpoint({ tokenEndpoint }: TokenExchangeSpec, add: Add, warn: Add): void {
  const at = 'spec.tokenEndpoint';
  if (!URL.canParse(tokenEndpoint)) {
    add(at, `"${tokenEndpoint}" is no URL`, 'write https://id.example.com/token');
    return;
  }
  const { protocol, hash, username, password, hostname } = new URL(tokenEndpoint);
  if (protocol !== 'https:' && protocol !== 'http:')
    add(at, `the scheme ${protocol} is not served`);
  // RFC 6749 section 3.2.
  if (hash !== '') add(at, 'a token endpoint has no fragment', 'remove what begins with #');
  if (username !== '' || password !== '') add(at, 'credentials belong to spec.client');
  if (protocol === 'http:' && !/\.svc(\.|$)|^(localhost|127\.|\[::1\])/.test(hostname)) {
    const message = `tokens go to ${hostname} in the clear, unless it is a service of the mesh`;
    warn(at, message, 'use https');
  }
}

function checkSubject({ subject }: TokenExchangeSpec, add: Add): void {
  const { from, file } = subject;
  if (from === 'request' && file !== undefined) {
    add('spec.subject.file', 'a token of the request has no file', 'remove it, or use from: file');
  }
  if (from !== 'file') return;
  if (file === undefined) add('spec.subject', 'from: file needs the file', 'add file: its path');
  else if (!file.startsWith('/')) add('spec.subject.file', `"${file}" does not begin with /`);
  else if (ownToken.test(file)) {
    const message = 'this token is for our CA: whoever gets it can take the workload’s identity';
    add('spec.subject.file', message, 'project a token for the audience of the endpoint');
  }
}

function checkClient({ client }: TokenExchangeSpec, add: Add): void {
  if (client === undefined) return;
  const { method, secretFile, keyFile } = client;
  const needs = { basic: 'secretFile', post: 'secretFile', private_key_jwt: 'keyFile', none: '' };
  const wanted = needs[method];
  for (const [name, value] of Object.entries({ secretFile, keyFile })) {
    const at = `spec.client.${name}`;
    if (name === wanted && value === undefined) {
      add('spec.client', `method: ${method} needs ${name}`, `add ${name}: its path`);
    }
    if (name !== wanted && value !== undefined) {
      add(at, `method: ${method} has no ${name}`, 'remove the line');
    }
    if (value !== undefined && !value.startsWith('/')) add(at, `"${value}" does not begin with /`);
  }
}

function checkDuration(text: string, at: string, leastMs: number, add: Add): void {
  const valueMs = durationMsOf(text);
  if (valueMs === null || valueMs < leastMs || valueMs > 600_000) {
    add(at, `"${text}" is no time from ${leastMs}ms to 10m`, 'write it as 5s');
  }
}
