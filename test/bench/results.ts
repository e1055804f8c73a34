// RESULTS.md: the benchmark and the soak each write a section of their own and leave the other's.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const sections = ['comparison', 'soak'] as const;
type Section = (typeof sections)[number];

const heading = '# What Selvage costs\n\nWritten by `npm run bench` and `npm run bench -- soak`.\n';

export function writeSection(section: Section, markdown: string): void {
  const path = join(import.meta.dirname, 'RESULTS.md');
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const parts = sections.flatMap((name) => {
    const text = name === section ? markdown.trim() : sectionOf(before, name);
    return text === '' ? [] : [`${markOf(name, 'begin')}\n\n${text}\n\n${markOf(name, 'end')}\n`];
  });
  writeFileSync(path, [heading, ...parts].join('\n'));
}

/** A file that results point to. */
export function writeBeside(name: string, text: string): void {
  writeFileSync(join(import.meta.dirname, name), text);
}

function sectionOf(page: string, name: Section): string {
  const [begin, end] = [markOf(name, 'begin'), markOf(name, 'end')];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  return from < 0 || to < from ? '' : page.slice(from + begin.length, to).trim();
}

function markOf(name: Section, side: 'begin' | 'end'): string {
  return `<!-- ${side}: ${name} -->`;
}
