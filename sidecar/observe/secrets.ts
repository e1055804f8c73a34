// What no record, log line or tap may show: credentials in headers, values in queries.
import type { ApiKeyAuthenticationSpec } from '#api/kinds/api-key-authentication.ts';
import type { ExtensionResource } from '#api/kinds/extension.ts';
import type { PolicyResource } from '#api/snapshot.ts';

import type { Enforced } from '../in-force.ts';

/** Stands for a value that is not shown. */
export const redacted = '(redacted)';

/** Whether the value of a header is a secret. @param name in any case */
export type SecretHeaders = (name: string) => boolean;

const usualNames: readonly string[] = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
];
const tellingParts = /token|secret|passw|credential|key|jwt/i;

/** Beside the usual ones, those in which this snapshot's policies look for keys and tokens. */
export function secretHeadersOf(enforced: Enforced | null): SecretHeaders {
  if (enforced === null) return isUsual;
  const { snapshot } = enforced;
  const known = bySnapshot.get(snapshot);
  if (known !== undefined) return known;
  const named = new Set(
    [
      ...snapshot.policies.flatMap(tokenHeaders),
      ...(snapshot.extensions ?? []).flatMap(keyHeaders),
    ].map((name) => name.toLowerCase()),
  );
  const isSecret: SecretHeaders = (name) => isUsual(name) || named.has(name.toLowerCase());
  bySnapshot.set(snapshot, isSecret);
  return isSecret;
}

/** `/a?token=…&page=…`: names of parameters help, values may be anything. */
export function withoutQueryValues(path: string): string {
  const at = path.indexOf('?');
  if (at === -1) return path;
  return path.slice(0, at) + path.slice(at).replaceAll(/=[^&]+/g, '=…');
}

const bySnapshot = new WeakMap<Enforced['snapshot'], SecretHeaders>();

function isUsual(name: string): boolean {
  return tellingParts.test(name) || usualNames.includes(name.toLowerCase());
}

function tokenHeaders(policy: PolicyResource): string[] {
  if (policy.kind !== 'RequestAuthentication') return [];
  return policy.spec.jwtRules.flatMap(({ fromHeaders = [] }) =>
    fromHeaders.map(({ name }) => name),
  );
}

function keyHeaders(extension: ExtensionResource): string[] {
  if (extension.kind !== 'ApiKeyAuthentication') return [];
  const { from = [] } = extension.spec as ApiKeyAuthenticationSpec;
  return from.flatMap(({ header }) => (header === undefined ? [] : [header]));
}
