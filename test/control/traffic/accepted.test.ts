// Whatever documents are made of the examples: what is accepted compiles, and the same each time.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';

import { loadText } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import { readResource } from '#api/read-resource.ts';
import type { DestinationPolicy } from '#api/traffic/destination.ts';
import { diffSnapshots } from '#control/deltas.ts';
import { lintMesh } from '#policy/lint/lint.ts';
import { applyDelta } from '#sidecar/config/delta.ts';
import { parseSnapshot } from '#sidecar/config/shape.ts';

import { snapshot } from './meshes.ts';

const folder = join(import.meta.dirname, '../../../manifests/examples/destinations');
const files = readdirSync(folder).filter((name) => name !== 'services.yaml');
const services = readFileSync(join(folder, 'services.yaml'), 'utf8');
const documents = files.flatMap((name) =>
  parseAllDocuments(readFileSync(join(folder, name), 'utf8')).map((one): unknown => one.toJSON()),
);

test.each(files)('%s has nothing to mend by itself, and changes what workloads get', (name) => {
  const text = readFileSync(join(folder, name), 'utf8');
  const { resources, problems } = loadText(`${services}---\n${text}`, name);
  const mesh = collectMesh(resources);
  expect([...problems, ...lintMesh(mesh)]).toEqual([]);
  const plain = collectMesh(loadText(services, name).resources);
  // A caller, and the one that a Sidecar's ingress is of.
  const workloads: readonly Record<string, string>[] = [{}, { app: 'ledger' }];
  const [after, before] = [mesh, plain].map((one) =>
    workloads.map((labels) => ({ ...snapshot(one, 'atlas', labels), version: 0 })),
  );
  expect(after).not.toEqual(before);
});

const values = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 80, 1e9, {}, [], [''], [{}]),
  fc.constantFrom('', '*', '0s', '5s', '1h', 'a/b', '*.local', '10.0.0.0/8', 'maps', '.', '~'),
  fc.constantFrom('NONE', 'STATIC', 'DNS', 'MUTUAL', 'ISTIO_MUTUAL', 'DISABLE', 'UPGRADE'),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Some place below `spec` gets another value, or goes. */
const mutated = fc
  .record({
    document: fc.constantFrom(...documents),
    turns: fc.array(fc.nat(), { minLength: 1, maxLength: 6 }),
    value: values,
    remove: fc.boolean(),
  })
  .map(({ document, turns, value, remove }) => {
    const copy = structuredClone(document) as Record<string, unknown>;
    let at = copy['spec'] as Record<string, unknown>;
    for (const [i, turn] of turns.entries()) {
      const keys = Object.keys(at);
      const key = keys[turn % keys.length];
      if (key === undefined) break;
      const next = at[key];
      if (i === turns.length - 1 || typeof next !== 'object' || next === null) {
        if (remove) delete at[key];
        else at[key] = value;
        break;
      }
      at = next as Record<string, unknown>;
    }
    return copy;
  });

function bad(list: readonly DestinationPolicy[]): unknown[] {
  const text = JSON.stringify(list, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? 'no number' : value,
  );
  return text.includes('no number') || text.includes('null') ? [text] : [];
}

test('what is accepted compiles to whole numbers and no holes, and lints', () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(mutated, { minLength: 1, maxLength: 4 }), (values_) => {
      const read = values_.map((value) => readResource({ value }));
      const resources = read.flatMap(({ resource }) => (resource === null ? [] : [resource]));
      accepted += resources.length;
      const mesh = collectMesh([...loadText(services, 'f').resources, ...resources]);
      const first = snapshot(mesh, 'atlas', { app: 'maps' });
      expect(bad(first.destinations ?? [])).toEqual([]);
      expect(snapshot(mesh, 'atlas', { app: 'maps' })).toEqual(first);
      expect(parseSnapshot(JSON.stringify(first))).toEqual(JSON.parse(JSON.stringify(first)));
      for (const { message, code } of lintMesh(mesh)) expect(`${code}${message}`).not.toBe('');
    }),
    { numRuns: 300 },
  );
  expect(accepted).toBeGreaterThan(50);
});

test('a delta from any mesh to any other makes the snapshot of the other', () => {
  const list = fc.array(mutated, { maxLength: 4 });
  fc.assert(
    fc.property(list, list, (one, other) => {
      const [from, to] = [one, other].map((values_, i) => {
        const read = values_.flatMap((value) => readResource({ value }).resource ?? []);
        const mesh = collectMesh([...loadText(services, 'f').resources, ...read]);
        return { ...snapshot(mesh, 'atlas'), version: i };
      });
      if (from === undefined || to === undefined) throw new Error('two were made');
      const made = applyDelta(from, diffSnapshots(from, to));
      // A list that became empty stays as an empty one.
      const empty = { destinations: [], routes: [] };
      expect({ ...empty, ...made }).toEqual({ ...empty, ...to });
    }),
    { numRuns: 100 },
  );
});

test('any value in place of a spec is read or refused', () => {
  const own = ['CircuitBreaker', 'HealthCheck'];
  const kinds = ['DestinationRule', 'ServiceEntry', 'WorkloadEntry', 'Sidecar'].concat(own);
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.jsonValue(), (kind, spec) => {
      const group = own.includes(kind) ? 'selvage.dev/v1alpha1' : 'networking.istio.io/v1';
      const value = { apiVersion: group, kind, metadata: { name: 'a', namespace: 'b' }, spec };
      const { resource, problems } = readResource({ value });
      expect(resource !== null || problems.length > 0).toBe(true);
    }),
    { numRuns: 500 },
  );
});
