import { expect, test } from 'vitest';

import { RoundRobin } from '#sidecar/upstream/balance.ts';

test('each member has its turn', () => {
  const balancer = new RoundRobin<string>(0);
  const picked = Array.from({ length: 5 }, () => balancer.pick(['a', 'b', 'c'], []));
  expect(picked).toEqual(['a', 'b', 'c', 'a', 'b']);
});

test('a second try goes to another member and takes nobody his turn', () => {
  const balancer = new RoundRobin<string>(0);
  const members = ['down', 'up'];
  expect(balancer.pick(members, [])).toBe('down');
  expect(balancer.pick(members, ['down'])).toBe('up');
  expect(balancer.pick(members, [])).toBe('up');
  expect(balancer.pick(members, [])).toBe('down');
});

test('nobody is left when all were tried, or there is nobody', () => {
  const balancer = new RoundRobin<string>(7);
  expect(balancer.pick(['a', 'b'], ['b', 'a'])).toBe(null);
  expect(balancer.pick([], [])).toBe(null);
});

test('members may become fewer between two picks', () => {
  const balancer = new RoundRobin<string>(0);
  balancer.pick(['a', 'b', 'c'], []);
  balancer.pick(['a', 'b', 'c'], []);
  expect(balancer.pick(['a'], [])).toBe('a');
});
