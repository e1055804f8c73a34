// RequestAuthentication: what Istio's validating webhook refuses beyond the shape.
import type { JwtRule, RequestAuthenticationSpec } from '../kinds/request-authentication.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { attachmentFindings } from './attachment.ts';
import { keySetFault } from './key-set.ts';

export function validateRequestAuthentication(
  policy: Resource<string, RequestAuthenticationSpec>,
): Finding[] {
  const findings = attachmentFindings(policy.spec);
  for (const [i, rule] of policy.spec.jwtRules.entries()) {
    findings.push(...ruleFindings(rule, joinIndex('spec.jwtRules', i)));
  }
  return findings;
}

function ruleFindings(rule: JwtRule, at: string): Finding[] {
  const findings: Finding[] = [];
  const add = (path: string, message: string, mend?: string): void => {
    findings.push({ severity: 'error', code: 'jwt-rule-invalid', path, message, mend });
  };
  if (rule.issuer === '' && (rule.jwksUri ?? '') === '') {
    add(at, 'a rule needs an issuer or a jwksUri', "write the token's `iss` as the issuer");
  }
  for (const field of ['audiences', 'fromParams', 'fromCookies'] as const) {
    for (const [i, value] of (rule[field] ?? []).entries()) {
      if (value === '') add(joinIndex(`${at}.${field}`, i), `${field} has an empty value`);
    }
  }
  for (const [i, { name }] of (rule.fromHeaders ?? []).entries()) {
    if (name === '') add(joinIndex(`${at}.fromHeaders`, i), 'fromHeaders has an empty name');
  }
  if (rule.jwksUri !== undefined && rule.jwksUri !== '') {
    const fault = uriFault(rule.jwksUri);
    if (fault !== null) add(`${at}.jwksUri`, `jwksUri: ${fault}`, 'write an https:// address');
  }
  if (rule.jwks !== undefined && rule.jwks !== '') {
    const fault = keySetFault(rule.jwks);
    if (fault !== null)
      add(`${at}.jwks`, `jwks: ${fault}`, 'paste the key set whole: {"keys":[…]}');
  }
  for (const [i, { header, claim }] of (rule.outputClaimToHeaders ?? []).entries()) {
    const path = joinIndex(`${at}.outputClaimToHeaders`, i);
    if (header === '' || claim === '') add(path, 'both `header` and `claim` must have a value');
    else if (!/^[-_A-Za-z0-9]+$/.test(header)) {
      add(`${path}.header`, `"${header}" is no header name`, 'use letters, digits, "-" and "_"');
    }
  }
  const duration = durationMsOf(rule.timeout);
  if (duration === null || duration < 1 || duration % 1 !== 0) {
    const message = `timeout: "${rule.timeout}" is no duration of at least 1ms`;
    add(`${at}.timeout`, message, 'write it as 5s or 500ms');
  }
  return findings;
}

function uriFault(uri: string): string | null {
  // URL.parse would do, but users' own tests run this on Node 20 too, which has none.
  if (!URL.canParse(uri)) return `"${uri}" is no URI`;
  const url = new URL(uri);
  if (url.protocol === 'http:' || url.protocol === 'https:') return null;
  return `the scheme ${url.protocol} is not supported`;
}

const unitMs: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
  us: 0.001,
  µs: 0.001,
  ns: 0.000001,
};

/** Milliseconds of a Go duration: `1h30m`, `1.5s`; null when it is none. */
export function durationMsOf(text: string): number | null {
  if (!/^\+?(\d+(\.\d*)?(h|ms|m|s|us|µs|ns))+$/.test(text)) return null;
  let total = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|ns)/g)) {
    total += Number(number) * (unitMs[unit ?? ''] ?? 0);
  }
  return total;
}
