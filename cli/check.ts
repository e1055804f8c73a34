// `selvage check PATH...`: what is wrong with resources, where it is written, and how to mend it.
import { loadFiles } from '#api/load.ts';
import { collectMesh } from '#api/mesh.ts';
import { problemLine } from '#api/problem-text.ts';
import type { Problem } from '#api/problem.ts';
import { byPlace, lintMesh } from '#policy/lint/lint.ts';

import type { Output } from './io.ts';
import { readPaths } from './paths.ts';
import { paint } from './table.ts';

/** Where the command writes; usage errors go to stderr if there is one. */
export interface CheckIo {
  readonly stdout: Output;
  readonly stderr?: Output;
  readonly cwd: string;
  readonly tty?: boolean;
  readonly stdin?: AsyncIterable<Buffer>;
}

interface Arguments {
  readonly paths: readonly string[];
  readonly output: 'text' | 'json';
  readonly strict: boolean;
}

interface Counts {
  readonly errors: number;
  readonly warnings: number;
  readonly resources: number;
  readonly files: number;
}

const USAGE = 'Usage: selvage check PATH... [--output text|json] [--strict]';

/** Exit status 0: no errors; 1: errors, or warnings under --strict; 2: wrong usage. */
export async function check(args: string[], io: CheckIo): Promise<number> {
  const parsed = parseArguments(args);
  if (typeof parsed === 'string') {
    (io.stderr ?? io.stdout).write(`selvage check: ${parsed}\n${USAGE}\n`);
    return 2;
  }
  const read = await readPaths(parsed.paths, io.cwd, io.stdin);
  const loaded = loadFiles(read.files);
  const mesh = collectMesh(loaded.resources);
  // Without its configuration the mesh has other names than the author meant.
  const isConfigured = !loaded.problems.some(isMeshConfigError);
  const warnings = lintMesh(mesh).filter(({ code }) => isConfigured || !fromConfig.has(code));
  const found = [...loaded.problems, ...warnings].toSorted(byPlace);
  const problems = [...read.problems, ...found];
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const counts: Counts = {
    errors,
    warnings: problems.length - errors,
    resources: loaded.resources.length,
    files: read.files.length,
  };
  const report =
    parsed.output === 'json'
      ? `${JSON.stringify({ problems, ...counts }, null, 2)}\n`
      : textReport(problems, counts, io.tty === true);
  io.stdout.write(report);
  return errors > 0 || (parsed.strict && counts.warnings > 0) ? 1 : 0;
}

/** Warnings that rest on the mesh's configuration. */
const fromConfig = new Set(['trust-domain-unknown', 'principal-not-expanded', 'provider-unknown']);

function isMeshConfigError({ severity, resource }: Problem): boolean {
  return severity === 'error' && resource?.startsWith('MeshConfig ') === true;
}

/** The arguments, or what is wrong with them. */
function parseArguments(args: readonly string[]): Arguments | string {
  const paths: string[] = [];
  let output = 'text';
  let strict = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--strict') strict = true;
    else if (arg === '--output' || arg === '-o') output = args[++i] ?? '';
    else if (arg.startsWith('--output=')) output = arg.slice('--output='.length);
    else if (arg === '--') {
      paths.push(...args.slice(i + 1));
      break;
    } else if (arg.startsWith('-') && arg !== '-') return `there is no option ${arg}`;
    else paths.push(arg);
  }
  if (output !== 'text' && output !== 'json') return `--output is text or json, not "${output}"`;
  if (paths.length === 0) return 'give the files or folders of YAML, or - for stdin';
  return { paths, output, strict };
}

function textReport(problems: readonly Problem[], counts: Counts, tty: boolean): string {
  const lines = problems.map((problem) => `${textOf(problem, tty)}\n`);
  return `${lines.join('')}${summaryOf(counts)}\n`;
}

/** Two lines, or one where there is nothing to do about it; compilers and editors know the form. */
function textOf(problem: Problem, tty: boolean): string {
  const { file, line, column, severity, mend } = problem;
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  const kind = paint(severity, severity === 'error' ? 'red' : 'yellow', tty);
  const head = `${place === '' ? '' : `${place}: `}${kind}: ${problemLine(problem)}`;
  return mend === undefined ? head : `${head}\n    ${paint(`mend: ${mend}`, 'dim', tty)}`;
}

function summaryOf({ errors, warnings, resources, files }: Counts): string {
  const found =
    errors + warnings === 0
      ? 'nothing to mend'
      : `${counted(errors, 'error')}, ${counted(warnings, 'warning')}`;
  return `${found} in ${counted(resources, 'resource')} of ${counted(files, 'file')}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
