import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { type Link, layOut } from '#cli/dashboard/layout.ts';

const sizes = { nodeWidth: 100, nodeHeight: 40, columnGap: 50, rowGap: 10 };

test('callers stand left of what they call', () => {
  const { nodes, edges } = layOut(
    ['payments', 'web', 'billing'],
    [
      ['web', 'billing'],
      ['billing', 'payments'],
    ],
    sizes,
  );
  expect(nodes.get('web')?.x).toBe(0);
  expect(nodes.get('billing')?.x).toBe(150);
  expect(nodes.get('payments')?.x).toBe(300);
  expect(edges[0]).toEqual([
    { x: 100, y: 20 },
    { x: 150, y: 20 },
  ]);
});

test('a way back is drawn back, beside the way there', () => {
  const { edges } = layOut(
    ['a', 'b'],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    sizes,
  );
  const [there, back] = edges;
  expect(there?.at(0)?.x).toBeLessThan(there?.at(-1)?.x ?? 0);
  expect(back?.at(0)?.x).toBeGreaterThan(back?.at(-1)?.x ?? 0);
  expect(back?.[0]?.y).not.toBe(there?.[1]?.y);
});

test('nothing is laid out in no room', () => {
  expect(layOut([], [], sizes)).toMatchObject({ height: 0 });
});

const names = Array.from({ length: 14 }, (_, i) => `n${i}`);
const graphs = fc.uniqueArray(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names)), {
  maxLength: 40,
  selector: (link) => link.join(' '),
});

test('no two nodes overlap, none is outside, and every edge begins and ends at its nodes', () => {
  fc.assert(
    fc.property(graphs, (links: Link[]) => {
      const { nodes, edges, width, height } = layOut(names, links, sizes);
      const all = [...nodes.values()];
      for (const [i, a] of all.entries()) {
        expect(a.x).toBeGreaterThanOrEqual(0);
        expect(a.x + sizes.nodeWidth).toBeLessThanOrEqual(width);
        expect(a.y).toBeGreaterThanOrEqual(-1e-6);
        expect(a.y + sizes.nodeHeight).toBeLessThanOrEqual(height + 1e-6);
        const same = all.slice(i + 1).filter((b) => a.x === b.x);
        for (const b of same) expect(Math.abs(a.y - b.y)).toBeGreaterThan(sizes.nodeHeight);
      }
      for (const [i, [from, to]] of links.entries()) {
        const path = edges[i] ?? [];
        const [a, b] = [nodes.get(from)?.x ?? 0, nodes.get(to)?.x ?? 0];
        const ends = a < b ? [a + sizes.nodeWidth, b] : [a, b + sizes.nodeWidth];
        // Who calls itself has no line.
        expect([path.at(0)?.x, path.at(-1)?.x]).toEqual(
          from === to ? [undefined, undefined] : ends,
        );
      }
    }),
  );
});

test('the order in which edges are told changes no place', () => {
  fc.assert(
    fc.property(graphs, (links: Link[]) => {
      const acyclic = links.filter(([from, to]) => from < to);
      const there = layOut(names, acyclic, sizes);
      const again = layOut(names.toReversed(), acyclic, sizes);
      expect(new Map(again.nodes)).toEqual(new Map(there.nodes));
    }),
  );
});
