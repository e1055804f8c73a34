// What of a snapshot is left out is logged once for as long as it is so, that of the first snapshot too.
import { expect, test } from 'vitest';

import { silentLog } from '#runtime/log.ts';
import { InForce } from '#sidecar/in-force.ts';
import { logLeftOut } from '#sidecar/left-out.ts';

import { serviceOf, snapshotOf } from './rig.ts';

/** Paths by regular expression, none of which is prepared here: each is left out. */
function edits(...names: string[]): string {
  const path = '{ replaceRegex: { match: "^/a", substitution: "/b" } }';
  return names
    .map(
      (name) => `
---
apiVersion: selvage.dev/v1alpha1
kind: Transformation
metadata: { name: ${name}, namespace: shop }
spec: { rules: [{ request: { path: ${path} } }] }
`,
    )
    .join('');
}

test('each problem once, the first snapshot\u2019s too, and again when it comes back', () => {
  const logged: string[] = [];
  const log = silentLog.child({});
  Object.assign(log, {
    warn: ({ problem }: { problem: string }) => logged.push(problem.split(' ')[1] ?? ''),
  });
  const inForce = new InForce();
  inForce.apply(snapshotOf({ policies: edits('one') }, 1));
  logLeftOut(inForce, log);
  expect(logged).toEqual(['shop/one']);
  inForce.apply(snapshotOf({ policies: edits('one'), services: [serviceOf('a', [])] }, 2));
  inForce.apply(snapshotOf({ policies: edits('one', 'two') }, 3));
  expect(logged).toEqual(['shop/one', 'shop/two']);
  inForce.apply(snapshotOf({ policies: edits('two') }, 4));
  inForce.apply(snapshotOf({ policies: edits('one', 'two') }, 5));
  expect(logged).toEqual(['shop/one', 'shop/two', 'shop/one']);
});
