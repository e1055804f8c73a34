// `selvage check`: what is wrong with resources of files or of a cluster, where it is written, and how to mend it.
import { type Loaded, loadFiles } from '#api/load.ts';
import { withFilterSources } from '#control/sources/filter-files.ts';
import { collectMesh } from '#api/mesh.ts';
import { problemLine } from '#api/problem-text.ts';
import type { Problem } from '#api/problem.ts';
import { byPlace, lintMesh } from '#policy/lint/lint.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import {
  clusterOptions,
  type ClusterValues,
  openCluster,
  type OpenCluster,
  runInCluster,
} from './cluster/cluster.ts';
import { readCluster } from './cluster/resources.ts';
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

interface Arguments extends ClusterValues {
  readonly paths: readonly string[];
  /** The resources of a cluster in place of files. */
  readonly live: boolean;
  readonly output: 'text' | 'json';
  readonly strict: boolean;
}

interface Counts {
  readonly errors: number;
  readonly warnings: number;
  readonly resources: number;
  /** 0 of a cluster. */
  readonly files: number;
}

/** What was read, wherever it is. */
interface Input extends Loaded {
  readonly files: number;
  /** What could not be read. */
  readonly unread: readonly Problem[];
}

const USAGE = 'Usage: selvage check PATH...|--live [--output text|json] [--strict]';

/** Exit status 0: no errors; 1: errors, or warnings under --strict; 2: wrong usage, or the cluster cannot be asked. */
export async function check(
  args: string[],
  io: CheckIo,
  open: OpenCluster = openCluster,
): Promise<number> {
  const { stderr = io.stdout } = io;
  const parsed = parseArguments(args);
  if (typeof parsed === 'string') {
    stderr.write(`selvage check: ${parsed}\n${USAGE}\n`);
    return 2;
  }
  if (!parsed.live) {
    const read = await readPaths(parsed.paths, io.cwd, io.stdin);
    const loaded = await withFilterSources(loadFiles(read.files), io.cwd);
    const input = { ...loaded, files: read.files.length, unread: read.problems };
    return report(input, parsed, io);
  }
  return runInCluster(
    { name: 'check', io: { stderr }, open },
    () => parsed,
    async ({ client }) => {
      const loaded = await readCluster(client);
      return report({ ...loaded, files: 0, unread: [] }, parsed, io);
    },
  );
}

function report(input: Input, { output, strict }: Arguments, io: CheckIo): number {
  const mesh = collectMesh(input.resources);
  // Without its configuration the mesh has other names than the author meant.
  const isConfigured = !input.problems.some(isMeshConfigError);
  const warnings = lintMesh(mesh).filter(({ code }) => isConfigured || !fromConfig.has(code));
  const found = [...input.problems, ...warnings].toSorted(byPlace);
  const problems = [...input.unread, ...found];
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const counts: Counts = {
    errors,
    warnings: problems.length - errors,
    resources: input.resources.length,
    files: input.files,
  };
  const text =
    output === 'json'
      ? `${JSON.stringify({ problems, ...counts }, null, 2)}\n`
      : textReport(problems, counts, io.tty === true);
  io.stdout.write(text);
  return errors > 0 || (strict && counts.warnings > 0) ? 1 : 0;
}

/** Warnings that rest on the mesh's configuration. */
const fromConfig = new Set(['trust-domain-unknown', 'principal-not-expanded', 'provider-unknown']);

function isMeshConfigError({ severity, resource }: Problem): boolean {
  return severity === 'error' && resource?.startsWith('MeshConfig ') === true;
}

/** The arguments, or what is wrong with them. */
function parseArguments(args: string[]): Arguments | string {
  try {
    const { values, positionals: paths } = readArguments(args, {
      ...clusterOptions,
      live: { type: 'boolean' },
      strict: { type: 'boolean' },
      output: { type: 'string', short: 'o' },
    });
    const { live = false, strict = false, output = 'text', kubeconfig, context } = values;
    if (output !== 'text' && output !== 'json') return `--output is text or json, not "${output}"`;
    if (live && paths.length > 0) return '--live reads the cluster in place of files: give no PATH';
    if (!live && paths.length === 0) return 'give the files or folders of YAML, or - for stdin';
    return { paths, live, strict, output, kubeconfig, context };
  } catch (error) {
    if (error instanceof CallError) return error.message;
    throw error;
  }
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
  const of = files === 0 ? 'the cluster' : counted(files, 'file');
  return `${found} in ${counted(resources, 'resource')} of ${of}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
