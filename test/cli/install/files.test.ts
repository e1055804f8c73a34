// manifests/ is what the code says, and nothing of it is stale.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { generatedManifests } from '#cli/install/files.ts';
import { systemObjects } from '#cli/install/objects.ts';
import { defaultOptions } from '#cli/install/options.ts';

import packageJson from '../../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '../../../manifests');

test.each([...generatedManifests(packageJson.version)])(
  'manifests/%s is as `npm run manifests` writes it',
  (file, text) => {
    expect(readFileSync(join(root, file), 'utf8')).toBe(text);
  },
);

test('what the API server would complete is whole, so that kubectl and selvage install can take turns', () => {
  const written = JSON.stringify(systemObjects(defaultOptions('1.0.0')));
  const references = written.match(/"fieldRef":\{[^}]*\}/g) ?? [];
  expect(references.length).toBeGreaterThan(0);
  expect(references.filter((one) => !one.includes('"apiVersion":"v1"'))).toEqual([]);
});
