// The table of examples names files and tests that are there.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const text = readFileSync(join(root, 'manifests/examples/README.md'), 'utf8');
const rows = text
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| elsewhere'));

function there(pattern: string): boolean {
  return globSync(pattern, { cwd: root }).length > 0;
}

test('every example that it names is there, and so is the test that runs it', () => {
  expect(rows.length).toBeGreaterThan(25);
  for (const row of rows) {
    const [, , examples = '', tests = ''] = row.split('|');
    for (const [, path = ''] of examples.matchAll(/`([a-z-]+\/[^`]*)`/g)) {
      expect(there(`manifests/examples/${path}`), `${row}: ${path}`).toBe(true);
    }
    for (const [, path = ''] of tests.matchAll(/`([^`]+)`/g)) {
      const file = path.startsWith('test/') ? `${path}*` : `test/**/${path}*`;
      const found = there(file) || there(`manifests/examples/${path}`);
      expect(found, `${row}: ${path}`).toBe(true);
    }
  }
});
