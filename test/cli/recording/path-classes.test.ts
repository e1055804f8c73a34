// Ids in paths are recognised from three on, and nothing else is.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { pathClasses } from '#cli/recording/path-classes.ts';
import { parseTemplate } from '#policy/match/template.ts';

const uuid = (i: number): string => `0f8fad5b-d9cd-469f-a165-7087260072${i}0`;

test.each([
  [
    ['/o/1', '/o/2', '/o/3'],
    ['/o/{*}', '/o/{*}', '/o/{*}'],
  ],
  [
    ['/o/1', '/o/2'],
    ['/o/1', '/o/2'],
  ],
  [
    ['/o/1/x', '/o/2/x', '/o/3/y', '/o/new'],
    ['/o/{*}/x', '/o/{*}/x', '/o/{*}/y', '/o/new'],
  ],
  [[1, 2, 3].map((i) => `/o/${uuid(i)}`), ['/o/{*}', '/o/{*}', '/o/{*}']],
  [
    ['/o/deadbeef1', '/o/deadbeef2', '/o/deadbeef3'],
    ['/o/{*}', '/o/{*}', '/o/{*}'],
  ],
  [
    ['/facade', '/decade', '/accede'],
    ['/facade', '/decade', '/accede'],
  ],
  [
    ['/a//1', '/a//2', '/a//3'],
    ['/a//1', '/a//2', '/a//3'],
  ],
  [
    ['/', '/1', '/2', '/3'],
    ['/', '/{*}', '/{*}', '/{*}'],
  ],
])('%j', (paths, classes) => {
  const found = pathClasses(paths);
  expect(paths.map((path) => found.get(path))).toEqual(classes);
});

test('every path is met by its class', () => {
  const segment = fc.oneof(
    fc.nat(20).map(String),
    fc.constantFrom('a', 'b', '', 'x[y', 'a*'),
    fc.uuid(),
  );
  const path = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
  fc.assert(
    fc.property(fc.array(path, { maxLength: 30 }), (paths) => {
      const classes = pathClasses(paths);
      for (const one of paths) {
        const found = classes.get(one) ?? '';
        const meets = found.includes('{*}') ? parseTemplate(found)?.matches(one) : found === one;
        expect({ one, found, meets }).toMatchObject({ meets: true });
      }
    }),
    { numRuns: 500, seed: 3 },
  );
});
