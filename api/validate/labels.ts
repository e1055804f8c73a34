// Labels as Kubernetes takes them, and selectors made of them.
import { type Finding, joinKey } from '../origin.ts';

const valuePattern = /^([a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?)?$/;
const namePattern = /^[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$/;
const prefixPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const lengthMax = 63;

export function labelFindings(labels: Readonly<Record<string, string>>, at: string): Finding[] {
  return Object.entries(labels).flatMap(([key, value]): Finding[] => {
    const [name = '', ...prefixes] = key.split('/').toReversed();
    const [prefix] = prefixes;
    const isKey =
      prefixes.length < 2 &&
      name.length <= lengthMax &&
      namePattern.test(name) &&
      (prefix === undefined || (prefix.length <= 253 && prefixPattern.test(prefix)));
    const isValue = value.length <= lengthMax && valuePattern.test(value);
    if (isKey && isValue) return [];
    const message = isKey ? `"${value}" is no value of a label` : `"${key}" is no name of a label`;
    return [{ severity: 'error', code: 'label-invalid', path: joinKey(at, key), message }];
  });
}

/** Labels to choose workloads by: whole ones, and at least one or it chooses all. */
export function selectorLabelFindings(
  labels: Readonly<Record<string, string>>,
  at: string,
): Finding[] {
  const entries = Object.entries(labels);
  if (entries.length === 0) {
    const message = 'a selector without labels selects every workload, as if it were not there';
    const mend = 'name a label, or remove the selector';
    return [{ severity: 'warning', code: 'selector-empty', path: at, message, mend }];
  }
  return entries.flatMap(([key, value]): Finding[] => {
    if (key !== '' && !`${key}${value}`.includes('*')) return [];
    const message =
      key === ''
        ? 'a label of a selector has no name'
        : `"${key}: ${value}" has a *, and selectors know no wildcards`;
    return [{ severity: 'error', code: 'selector-invalid', path: joinKey(at, key), message }];
  });
}
