import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { failures } from '#sidecar/failures.ts';

import { docsFolder } from './page.ts';

const root = join(docsFolder, '..');

/** The code, and what tests in a cluster have heard of a real API server. */
const folders = 'api ca cli control injector policy runtime sidecar test/e2e'.split(' ');

/** Of each file its text without comments, and with strings put together that are written in pieces. */
const sources = folders.flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, folder, name), 'utf8'))
    .map((text) => text.replace(/^\s*(\/\/|\/\*|\*).*$/gm, '').replace(/(['"`]) \+\s+\1/g, '')),
);

/** What the first column of the table "By message" quotes, and where the second says that it is met. */
function messages(): [text: string, where: string][] {
  const page = readFileSync(join(docsFolder, 'troubleshooting.md'), 'utf8');
  const [, section = ''] = /\n## By message\n(.*?)\n## /s.exec(page) ?? [];
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) => {
    const [quoted = '', where = ''] = row.split(' | ');
    return [...quoted.matchAll(/`([^`]+)`/g)].map(([, text = '']): [string, string] => [
      text,
      where,
    ]);
  });
}

/** Whether the parts of a message follow each other in one line of a file. */
function isSaid(message: string): boolean {
  const parts = message.split('…').map((part) => RegExp.escape(part.trim()));
  const pattern = new RegExp(parts.join('.*'));
  return sources.some((text) => pattern.test(text));
}

test('a text that nobody says is told from one that is', () => {
  expect(isSaid('RBAC: access denied')).toBe(true);
  expect(isSaid('RBAC: access granted')).toBe(false);
  expect(messages().length).toBeGreaterThan(40);
});

test.each(messages())('%s is said: %s', (message, where) => {
  expect(isSaid(message)).toBe(true);
  const [, status] = /^answer (\d+)/.exec(where) ?? [];
  const own = Object.values(failures).filter(({ body }) => body === message);
  if (status === undefined || own.length === 0) return;
  expect(own.map((failure) => String(failure.status))).toContain(status);
});
