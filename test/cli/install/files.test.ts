// manifests/ is what the code says, and nothing of it is stale.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { generatedManifests } from '#cli/install/files.ts';

import packageJson from '../../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '../../../manifests');

test.each([...generatedManifests(packageJson.version)])(
  'manifests/%s is as `npm run manifests` writes it',
  (file, text) => {
    expect(readFileSync(join(root, file), 'utf8')).toBe(text);
  },
);
