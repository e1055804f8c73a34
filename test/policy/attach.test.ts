// Which policies apply to a workload, and when a policy is under trial only.
import { expect, test } from 'vitest';

import { appliesTo, isDryRun } from '#policy/attach.ts';

import { authorization, cart } from './making.ts';

const rootNamespace = 'istio-system';
const labels = (matchLabels: Record<string, string>) => ({ selector: { matchLabels } });

test.each([
  ['of its own namespace', authorization('p', {}), true],
  ['of the root namespace', authorization('p', {}, { namespace: rootNamespace }), true],
  ['of another namespace', authorization('p', {}, { namespace: 'x' }), false],
  ['that selects all its labels', authorization('p', labels({ app: 'cart', tier: 'back' })), true],
  ['that selects one label more', authorization('p', labels({ app: 'cart', x: 'y' })), false],
  ['that selects nothing in particular', authorization('p', labels({})), true],
  [
    'of the root namespace that selects it',
    authorization('p', labels({ app: 'cart' }), { namespace: rootNamespace }),
    true,
  ],
  [
    'of the root namespace that selects another',
    authorization('p', labels({ app: 'web' }), { namespace: rootNamespace }),
    false,
  ],
  [
    'for a Service',
    authorization('p', { targetRefs: [{ group: '', kind: 'Service', name: 'cart' }] }),
    false,
  ],
  ['without target references', authorization('p', { targetRefs: [] }), true],
])('a policy %s', (_, policy, applies) => {
  expect(appliesTo(policy, cart, rootNamespace)).toBe(applies);
});

test.each([
  ['true', true],
  ['T', true],
  ['1', true],
  ['TRUE', true],
  ['tRUE', false],
  ['false', false],
  ['maybe', false],
  ['', false],
])('dry-run: %j is %j', (value, dry) => {
  const annotations = { 'istio.io/dry-run': value };
  expect(isDryRun(authorization('p', {}, { annotations }))).toBe(dry);
});
