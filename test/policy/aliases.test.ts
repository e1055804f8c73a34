// Trust domain aliases in principals and trust domains.
import { expect, test } from 'vitest';

import { expandPrincipal, expandTrustDomains } from '#policy/aliases.ts';

const domains = ['td1', 'old-td'];

test.each([
  ['td1/ns/a/sa/b', ['td1/ns/a/sa/b', 'old-td/ns/a/sa/b']],
  ['old-td/ns/a/sa/b', ['td1/ns/a/sa/b', 'old-td/ns/a/sa/b']],
  ['cluster.local/ns/a/sa/*', ['td1/ns/a/sa/*', 'old-td/ns/a/sa/*']],
  ['*-td/ns/a/sa/b', ['td1/ns/a/sa/b', '*-td/ns/a/sa/b']],
  ['td*/ns/a/sa/b', ['td1/ns/a/sa/b', 'old-td/ns/a/sa/b']],
  ['*/ns/a/sa/b', ['*/ns/a/sa/b']],
  ['other/ns/a/sa/b', ['other/ns/a/sa/b']],
  ['cluster.local/ns/a/*', ['cluster.local/ns/a/*']],
  ['*', ['*']],
])('%s stands for %j', (value, expanded) => {
  expect(expandPrincipal(value, domains)).toEqual(expanded);
});

test('a trust domain is expanded by its exact name only', () => {
  expect(expandTrustDomains(['td1', 'x'], domains)).toEqual(['td1', 'old-td', 'x']);
  expect(expandTrustDomains(['td*'], domains)).toEqual(['td*']);
  expect(expandTrustDomains(['cluster.local'], domains)).toEqual(['cluster.local']);
});
