// `selvage diff OLD NEW`: calls whose verdict two sets of policies differ about, found without any recording.
import { readArguments } from './arguments.ts';
import { serviceAccountsOf } from './calls/call.ts';
import { CallError } from './calls/failure.ts';
import { loadModel, type MeshModel } from './calls/model.ts';
import { printProblems } from './calls/problems.ts';
import { describeCall } from './calls/render.ts';
import { argumentsOf, callOf, shellLine } from './diff/example.ts';
import { byName, compareSides, type WorkloadDifferences } from './diff/sides.ts';
import type { Io } from './io.ts';
import { paint } from './table.ts';

/** Exit status 0: no call differs, which is proven; 1: some do; 2: wrong usage; 3: none was found, and it is not proven. */
export async function diff(args: string[], io: Io): Promise<number> {
  try {
    const { values, positionals } = readArguments(args, options);
    const { output = 'text', workload } = values;
    const [oldPath, newPath, ...more] = positionals;
    if (output !== 'text' && output !== 'json') {
      throw new CallError(`--output is "text" or "json", not "${output}"`);
    }
    if (oldPath === undefined || newPath === undefined || more.length > 0) {
      throw new CallError('give two folders or files of YAML: OLD NEW');
    }
    const old = await loadModel([oldPath], io.cwd);
    const now = await loadModel([newPath], io.cwd);
    for (const { problems } of [old, now]) printProblems(problems, io);
    checkWorkloads(old, now, workload);
    const compared = await compareSides(old, now, workload);
    const found = reportOf(compared, old, now);
    io.stdout.write(
      output === 'json' ? `${JSON.stringify(found, null, 2)}\n` : textOf(found, newPath, io.tty),
    );
    if (found.differences.length > 0) return 1;
    return found.proven ? 0 : 3;
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    io.stderr.write(`selvage diff: ${error.message}\n`);
    return 2;
  }
}

const options = { workload: { type: 'string' }, output: { type: 'string', short: 'o' } } as const;

type Report = ReturnType<typeof reportOf>;

/** Of one workload so many are shown to people; other programs get all. */
const shownMax = 20;

function checkWorkloads(old: MeshModel, now: MeshModel, wanted: string | undefined): void {
  const names = [...new Set([...byName(old).keys(), ...byName(now).keys()])];
  if (names.length === 0) {
    throw new CallError(
      'neither side has a workload (a Deployment, StatefulSet, DaemonSet or Pod) whose policies could be compared: give the files that have them too',
    );
  }
  if (wanted !== undefined && !names.includes(wanted)) {
    throw new CallError(`there is no workload ${wanted}; there are ${names.join(', ')}`);
  }
}

/** As data; its fields only grow. */
function reportOf(compared: readonly WorkloadDifferences[], old: MeshModel, now: MeshModel) {
  const accounts = new Set([...serviceAccountsOf(old), ...serviceAccountsOf(now)]);
  const { trustDomain } = now.resources.meshConfig;
  return {
    proven: compared.every(({ unproven }) => unproven.length === 0),
    workloads: compared.length,
    combinations: compared.reduce((sum, { combinations }) => sum + combinations, 0),
    differences: compared.flatMap(({ workload, onlyIn, differences }) =>
      differences.map((difference) => {
        const call = callOf(difference, workload, accounts, trustDomain);
        const { old: was, new: is, classes } = difference;
        // Explain knows calls of the mesh and plaintext.
        const relayed = difference.example.carriage.relayed === true;
        const explain = relayed ? null : argumentsOf(call);
        return { workload, onlyIn, old: was, new: is, classes, call, relayed, explain };
      }),
    ),
    unproven: compared.flatMap(({ workload, unproven }) =>
      unproven.length === 0 ? [] : [{ workload, reasons: unproven }],
    ),
  };
}

function textOf(report: Report, newPath: string, tty: boolean): string {
  const { differences, unproven, workloads } = report;
  const byWorkload = Map.groupBy(differences, ({ workload }) => workload);
  const blocks = [...byWorkload].map(([workload, own]) => {
    const only = own[0]?.onlyIn ?? null;
    const where = only === null ? '' : ` (only in ${only.toUpperCase()})`;
    const shown = own.slice(0, shownMax).map((one) => differenceText(one, newPath, tty));
    const left = own.length - shown.length;
    const rest = left > 0 ? `  and ${left} more: --output json has all\n` : '';
    return `${paint(workload, 'bold', tty)}${where}\n${shown.join('')}${rest}`;
  });
  const gaps = unproven.flatMap(({ workload, reasons }) =>
    reasons.map((reason) => `not proven for ${workload}: ${reason}\n`),
  );
  const counted = `${workloads} workload${workloads === 1 ? '' : 's'}`;
  const end =
    differences.length > 0
      ? `${differences.length} difference${differences.length === 1 ? '' : 's'} in ${byWorkload.size} of ${counted}`
      : gaps.length > 0
        ? `no difference found in ${counted}, but there may be some: see above`
        : `no call differs: proven for ${counted}`;
  return [...blocks, ...gaps, `${end}\n`].join('');
}

function differenceText(one: Report['differences'][number], newPath: string, tty: boolean): string {
  const { call, old, new: is, classes, explain, relayed } = one;
  const server = call.sni === undefined ? '' : ` (server name ${call.sni})`;
  const what = relayed
    ? `TLS that is not the mesh's, to ${call.to}:${call.port}${server}`
    : describeCall(call, call.port);
  const change = is.allowed ? paint('now ALLOWED', 'yellow', tty) : paint('now DENIED', 'red', tty);
  const kinds =
    classes === 1 ? '' : `, and ${classes - 1} more kind${classes === 2 ? '' : 's'} of calls`;
  return [
    `  ${change}  ${what}${kinds}`,
    `    old: ${old.reason}`,
    `    new: ${is.reason}`,
    ...(explain === null
      ? []
      : [paint(`    selvage explain ${shellLine([...explain, newPath])}`, 'dim', tty)]),
    '',
  ].join('\n');
}
