// What policies say of a peer's SPIFFE ID, matched against each URI SAN of its certificate.
import { readPattern, TextSet, type TextPattern } from './text.ts';

/** Whether one URI SAN, whole (`spiffe://…`), is meant. */
export type IdentityTest = (identity: string) => boolean;

const scheme = 'spiffe://';

/** The pattern of a principal over the whole URI: values are without the scheme. */
export function principalPattern(value: string): TextPattern {
  const { form, text } = readPattern(value);
  return form === 'exact' || form === 'prefix' ? { form, text: scheme + text } : { form, text };
}

/** `source.principals`. A suffix must lie behind the scheme. */
export function principalTest(values: readonly string[]): IdentityTest {
  const patterns = values.map(principalPattern);
  const whole = new TextSet(patterns.filter((pattern) => pattern.form !== 'suffix'));
  const tails = patterns.filter((pattern) => pattern.form === 'suffix').map(({ text }) => text);
  return (identity) => whole.matches(identity) || endsWithAny(identity, tails);
}

function endsWithAny(identity: string, tails: readonly string[]): boolean {
  if (tails.length === 0 || !identity.startsWith(scheme)) return false;
  const most = identity.length - scheme.length;
  for (const tail of tails) if (tail.length <= most && identity.endsWith(tail)) return true;
  return false;
}

/** `source.namespaces`: `/ns/VALUE/` anywhere in the URI; each `*` stands for any text. */
export function namespaceTest(value: string): IdentityTest {
  const parts = `/ns/${value}/`.split('*');
  const [first = '', ...others] = parts;
  if (others.length === 0) return (identity) => identity.includes(first);
  return (identity) => {
    let at = identity.indexOf(first);
    if (at === -1) return false;
    at += first.length;
    for (const part of others) {
      const next = identity.indexOf(part, at);
      if (next === -1) return false;
      at = next + part.length;
    }
    return true;
  };
}

/** The namespace and account that a value of `source.serviceAccounts` names. */
export function splitServiceAccount(value: string, policyNamespace: string): [string, string] {
  const slash = value.indexOf('/');
  if (slash === -1) return [policyNamespace, value];
  return [value.slice(0, slash), value.slice(slash + 1)];
}

/**
 * `source.serviceAccounts`: spiffe://ANY/ns/NAMESPACE/, perhaps more segments, sa/ACCOUNT, perhaps more segments.
 * The leftmost namespace leaves most room for the account, so no other needs a try.
 */
export function serviceAccountTest(namespace: string, account: string): IdentityTest {
  const middle = `/ns/${namespace}/`;
  const tail = `sa/${account}`;
  return (identity) => {
    if (!identity.startsWith(scheme)) return false;
    const found = identity.indexOf(middle, scheme.length + 1);
    if (found === -1) return false;
    const after = found + middle.length;
    let at = identity.indexOf(tail, after);
    for (; at !== -1; at = identity.indexOf(tail, at + 1)) {
      const begins = at === after || (at > after + 1 && identity.charCodeAt(at - 1) === 47);
      const end = at + tail.length;
      const rest = identity.length - end;
      if (begins && (rest === 0 || (rest > 1 && identity.charCodeAt(end) === 47))) return true;
    }
    return false;
  };
}

/** `source.trustDomains`: the text up to the first slash; each `*` stands for any text within it. */
export function trustDomainTest(value: string): IdentityTest {
  if (!value.includes('*')) {
    const prefix = `${scheme}${value}/`;
    return (identity) => identity.startsWith(prefix);
  }
  const escaped = value.split('*').map((part) => part.replaceAll(/[^A-Za-z0-9]/g, String.raw`\$&`));
  const name = new RegExp(`^spiffe:\\/\\/${escaped.join('[^/]*')}\\/`);
  return (identity) => name.test(identity);
}
