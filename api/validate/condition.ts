// One `when` of an AuthorizationPolicy: its key and the values that the key takes.
import type { Condition } from '../kinds/authorization-policy.ts';
import { type Finding, joinIndex } from '../origin.ts';
import { nearest } from '../spelling.ts';
import { ipBlockFault, portFault, serviceAccountFault } from './values.ts';

/** Keys taken whole, and what their values must be. */
const keys: Readonly<Record<string, ((value: string) => string | null) | null>> = {
  'source.ip': ipBlockFault,
  'remote.ip': ipBlockFault,
  'source.namespace': null,
  'source.serviceAccount': serviceAccountFault,
  'source.trustDomain': (value) =>
    value.includes('/') ? `"${value}" has a "/", so it is no trust domain` : null,
  'source.principal': null,
  'request.auth.principal': null,
  'request.auth.audiences': null,
  'request.auth.presenter': null,
  'destination.ip': ipBlockFault,
  'destination.port': portFault,
  'connection.sni': null,
};
/** Keys with a name in brackets: `request.headers[x-user]`. */
const mapKeys = [
  'request.headers',
  'request.experimental.inline.headers',
  'request.auth.claims',
  'experimental.envoy.filters.',
];
/** Keys of Istio's first API, and what took their place. */
const gone: Readonly<Record<string, string>> = {
  'destination.namespace': 'put the policy into that namespace',
  'destination.name': 'select the workload with selector.matchLabels',
  'destination.user': 'select the workload with selector.matchLabels',
};

export function conditionFindings(condition: Condition, at: string): Finding[] {
  const { key, values = [], notValues = [] } = condition;
  if (key === '') return [finding('key-empty', `${at}.key`, 'the key is empty')];
  if (values.length === 0 && notValues.length === 0) {
    const message = `the condition on ${key} has neither values nor notValues`;
    return [finding('values-missing', at, message, 'add `values:` with at least one value')];
  }
  const wrongKey = keyFinding(key, `${at}.key`);
  if (wrongKey !== null) return [wrongKey];
  const check = Object.hasOwn(keys, key) ? (keys[key] ?? null) : null;
  const findings: Finding[] = [];
  for (const [field, list] of [
    ['values', values],
    ['notValues', notValues],
  ] as const) {
    if (key === 'source.serviceAccount' && list.length > 16) {
      findings.push(finding('values-too-many', `${at}.${field}`, 'at most 16 values are allowed'));
    }
    for (const [i, value] of list.entries()) {
      const path = joinIndex(`${at}.${field}`, i);
      if (value === '') {
        const mend = 'write a value, or remove the item; "*" means any but an empty one';
        findings.push(finding('value-empty', path, `${key}: an empty value is not allowed`, mend));
        continue;
      }
      const fault = check?.(value) ?? null;
      if (fault !== null) findings.push(finding('value-invalid', path, `${key}: ${fault}`));
    }
  }
  return findings;
}

function keyFinding(key: string, path: string): Finding | null {
  if (Object.hasOwn(keys, key)) return null;
  if (mapKeys.some((prefix) => key.startsWith(prefix))) {
    const open = key.indexOf('[');
    if (key.endsWith(']') && open > 0 && open < key.length - 2) return null;
    const message = `the key ${key} lacks a name in brackets`;
    return finding('key-invalid', path, message, 'write it as request.headers[x-user]');
  }
  if (key.startsWith('destination.labels')) {
    const mend = 'select the workload with selector.matchLabels';
    return finding('key-unknown', path, `the key ${key} belongs to an old API`, mend);
  }
  if (Object.hasOwn(gone, key)) {
    return finding('key-unknown', path, `the key ${key} belongs to an old API`, gone[key]);
  }
  const similar = nearest(key.replace(/\[.*$/s, ''), [...Object.keys(keys), ...mapKeys]);
  const mend =
    similar === null ? `use one of ${Object.keys(keys).join(', ')}` : `did you mean ${similar}?`;
  return finding('key-unknown', path, `there is no key ${key}`, mend);
}

function finding(code: string, path: string, message: string, mend?: string): Finding {
  return { severity: 'error', code, path, message, mend };
}
