// A page of docs/ as a test sees it: files that it shows, and sessions with what each command prints.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ShownFile {
  readonly kind: 'file';
  /** `policies.yaml`. */
  readonly name: string;
  readonly text: string;
}

export interface ShownYaml {
  readonly kind: 'yaml';
  readonly text: string;
}

export interface Command {
  readonly kind: 'command';
  readonly command: string;
  /** It goes on running, and the page goes on when it has printed what is shown. */
  readonly background: boolean;
  /** `…` stands for anything within a line, `...` for any lines; empty: nothing is said of it. */
  readonly output: readonly string[];
  readonly where: 'local' | 'cluster';
  readonly line: number;
}

export type Step = ShownFile | ShownYaml | Command;

export const docsFolder = join(import.meta.dirname, '../../docs');

/** Names of the pages that people wrote. */
export function pageNames(): string[] {
  return readdirSync(docsFolder).filter((name) => name.endsWith('.md'));
}

export function stepsOf(name: string): Step[] {
  return readSteps(readFileSync(join(docsFolder, name), 'utf8'));
}

/** @throws Error that names the line of a block which no test would run */
export function readSteps(text: string): Step[] {
  const steps: Step[] = [];
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const fence = /^```(\w*)(?: (\S+))?$/.exec(lines[i] ?? '');
    if (fence === null) continue;
    const end = lines.indexOf('```', i + 1);
    if (end < 0) throw new Error(`line ${i + 1}: the block is not closed`);
    const [, language = '', argument] = fence;
    const body = lines.slice(i + 1, end);
    if (language === 'console') {
      const where = argument === 'cluster' ? 'cluster' : 'local';
      steps.push(...commandsOf(body, where, i + 2));
    } else if (argument !== undefined && /^(yaml|ts|json)$/.test(language)) {
      steps.push({ kind: 'file', name: argument, text: `${body.join('\n')}\n` });
    } else if (language === 'yaml') {
      steps.push({ kind: 'yaml', text: body.join('\n') });
    } else {
      throw new Error(`line ${i + 1}: write yaml, yaml FILE, ts FILE, console or console cluster`);
    }
    i = end;
  }
  return steps;
}

function commandsOf(body: readonly string[], where: Command['where'], first: number): Command[] {
  const commands: { command: string; output: string[]; line: number }[] = [];
  for (const [i, line] of body.entries()) {
    const last = commands.at(-1);
    if (line.startsWith('$ '))
      commands.push({ command: line.slice(2), output: [], line: first + i });
    else if (last !== undefined && last.output.length === 0 && last.command.endsWith('\\')) {
      last.command = `${last.command}\n${line}`;
    } else if (last !== undefined) last.output.push(line);
    else throw new Error(`line ${first + i}: a session begins with a command: $ …`);
  }
  return commands.map(({ command, output, line }) => {
    const background = command.endsWith(' &');
    const own = background ? command.slice(0, -2) : command;
    return { kind: 'command', command: own, background, output, where, line };
  });
}

/** Whether what was printed is what is shown. */
export function matches(shown: readonly string[], printed: string): boolean {
  const got = printed
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd());
  const wanted = shown.map((line) => line.trimEnd());
  while (wanted.at(-1) === '') wanted.pop();
  return matchFrom(wanted, got);
}

function matchFrom(wanted: readonly string[], got: readonly string[]): boolean {
  const [line, ...rest] = wanted;
  if (line === undefined) return got.length === 0 || (got.length === 1 && got[0] === '');
  if (line === '...') {
    for (let skip = 0; skip <= got.length; skip++) {
      if (matchFrom(rest, got.slice(skip))) return true;
    }
    return false;
  }
  const [first, ...others] = got;
  return first !== undefined && lineMatches(line, first) && matchFrom(rest, others);
}

function lineMatches(wanted: string, got: string): boolean {
  if (!wanted.includes('…')) return wanted === got;
  const pattern = wanted.split('…').map((part) => RegExp.escape(part));
  return new RegExp(`^${pattern.join('.*')}$`).test(got);
}
