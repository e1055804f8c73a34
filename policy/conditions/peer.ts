// Fields about who calls, known from the connection: identities, addresses.
import type { ConnectionFacts, RequestFacts } from '../facts.ts';
import {
  namespaceTest,
  principalPattern,
  principalTest,
  serviceAccountTest,
  splitServiceAccount,
  trustDomainTest,
  type IdentityTest,
} from '../match/identity.ts';
import { containsIp, parseIpBlock, plainPeerIp, readIp, type IpBlock } from '../match/ip.ts';
import { remoteIp } from '../remote-ip.ts';
import {
  allKeys,
  type Attribute,
  type IpSpace,
  type Key,
  type Matcher,
  type Test,
} from './condition.ts';

/** `principals`, `source.principal`. @param expand gives a value under each trust domain that means it */
export function principals(expand: (value: string) => readonly string[]): Attribute {
  return identityAttribute((values) => {
    const all = values.flatMap(expand);
    return { test: principalTest(all), keys: allKeys(all, principalKey) };
  });
}

/** `namespaces`, `source.namespace`. */
export const namespaces: Attribute = identityAttribute((values) => ({
  test: anyIdentityTest(values.map(namespaceTest)),
  keys: allKeys(values, namespaceKey),
}));

/** `serviceAccounts`, `source.serviceAccount`. A value without a slash is of the policy's own namespace. */
export function serviceAccounts(policyNamespace: string): Attribute {
  return identityAttribute((values) => {
    const names = values.map((value) => splitServiceAccount(value, policyNamespace));
    return {
      test: anyIdentityTest(names.map(([namespace, name]) => serviceAccountTest(namespace, name))),
      keys: allKeys(names, serviceAccountKey),
    };
  });
}

/** `trustDomains`, `source.trustDomain`. */
export function trustDomains(expand: (values: readonly string[]) => readonly string[]): Attribute {
  return identityAttribute((values) => {
    const all = expand(values);
    return { test: anyIdentityTest(all.map(trustDomainTest)), keys: allKeys(all, trustDomainKey) };
  });
}

/** `ipBlocks`, `source.ip`: the TCP peer. */
export const sourceIps: Attribute = ipAttribute('source.ip', sourceIpOf);

/** `remoteIpBlocks`, `remote.ip`: what X-Forwarded-For says last; on TCP the peer. */
export const remoteIps: Attribute = ipAttribute('remote.ip', remoteIpOf);

/** `destination.ip`: where the client meant to connect. */
export const destinationIps: Attribute = ipAttribute('destination.ip', destinationIpOf);

export function sourceIpOf(connection: ConnectionFacts): string {
  return plainPeerIp(connection.sourceIp);
}

export function destinationIpOf(connection: ConnectionFacts): string {
  return plainPeerIp(connection.destinationIp);
}

/** The address of `remoteIpBlocks` for a call. */
export function remoteIpOf(connection: ConnectionFacts, request: RequestFacts | null): string {
  const peer = plainPeerIp(connection.sourceIp);
  return request === null ? peer : remoteIp(request.values('x-forwarded-for'), peer);
}

function identityAttribute(
  build: (values: readonly string[]) => { test: IdentityTest; keys: readonly Key[] | null },
): Attribute {
  return {
    http: false,
    build(values) {
      const { test, keys } = build(values);
      const any: Test = (c) => {
        for (const identity of c.identities) if (test(identity)) return true;
        return false;
      };
      return { any, broken: [], keys };
    },
    got: (c) => c.identities.map((identity) => identity.replace(/^spiffe:\/\//, '')).join(', '),
  };
}

function anyIdentityTest(tests: readonly IdentityTest[]): IdentityTest {
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (identity) => {
    for (const test of tests) if (test(identity)) return true;
    return false;
  };
}

function principalKey(value: string): Key | null {
  const { form, text } = principalPattern(value);
  return form === 'any' ? null : { kind: 'text', space: 'identity', form, text };
}

/** Only what stands between two slashes can be looked up. */
function namespaceKey(value: string): Key | null {
  const star = value.indexOf('*');
  if (value.includes('/') || value === '*') return null;
  if (star === -1) return { kind: 'text', space: 'namespace', form: 'exact', text: value };
  if (star === 0) return null;
  return { kind: 'text', space: 'namespace', form: 'prefix', text: value.slice(0, star) };
}

function serviceAccountKey([namespace, account]: [string, string]): Key | null {
  if (account.includes('/')) return null;
  const text = `${namespace}/sa/${account}`;
  return { kind: 'text', space: 'service-account', form: 'exact', text };
}

function trustDomainKey(value: string): Key | null {
  if (value.includes('*') || value.includes('/')) return null;
  return { kind: 'text', space: 'trust-domain', form: 'exact', text: value };
}

function ipAttribute(
  space: IpSpace,
  textOf: (connection: ConnectionFacts, request: RequestFacts | null) => string,
): Attribute {
  return {
    http: false,
    build(values): Matcher {
      const blocks: IpBlock[] = [];
      const broken: string[] = [];
      for (const value of values) {
        const block = parseIpBlock(value);
        if (block === null) broken.push(value);
        else blocks.push(block);
      }
      const test: Test = (c, r) => {
        const address = readIp(textOf(c, r));
        for (const block of blocks) if (containsIp(block, address)) return true;
        return false;
      };
      const keys = blocks.map((block): Key => ({ kind: 'ip', space, block }));
      return { any: blocks.length === 0 ? null : test, broken, keys };
    },
    got: textOf,
  };
}
