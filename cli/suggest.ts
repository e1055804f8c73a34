// `selvage suggest`: writes the AuthorizationPolicies that allow just what was observed.
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import type { Workload } from '#api/workload.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { loadModel } from './calls/model.ts';
import type { Io } from './io.ts';
import { readFor, readLimit, workloadsOf } from './record.ts';
import { type Recording, readRecordings } from './recording/format.ts';
import { tapCalls } from './recording/tapping.ts';
import { withoutSecrets } from './recording/without-secrets.ts';
import { meshOptions, openSidecars, type OpenSidecars } from './sidecars/open.ts';
import { runWithSidecars } from './sidecars/run.ts';
import { commentsOn, suggest as suggestPolicy, type Suggestion } from './suggest/policy.ts';
import { observe, type Observed } from './suggest/observed.ts';
import { verifySuggestion } from './suggest/verify.ts';

/** Exit status 0: written; 1: nothing was observed that a policy could allow; 2: wrong usage, or the mesh cannot be asked. */
export async function suggest(
  args: string[],
  io: Io,
  open: OpenSidecars = openSidecars,
): Promise<number> {
  try {
    const options = readOptions(args);
    const { files, live, workload } = options;
    if (!live) return await write(await readRecordings(files, io.cwd), options, io);
    return await runWithSidecars(
      { name: 'suggest', io, open },
      () => options,
      async (sidecars, { forMs, callsMax }) => {
        const until = Number.isFinite(forMs) ? `for ${forMs / 1000} s` : 'until Ctrl-C';
        io.stderr.write(`observing calls ${until}\n`);
        const calls: Recording['calls'][number][] = [];
        const tapping = { workload, facts: true, forMs, callsMax };
        const tapped = await tapCalls(sidecars, tapping, io, (call) =>
          calls.push(withoutSecrets(call)),
        );
        const workloads = await workloadsOf(tapped.sidecars);
        const header = {
          selvage: 'recording',
          version: 1,
          mesh: '',
          begunAt: '',
          workloads,
        } as const;
        return write({ header, calls }, options, io);
      },
    );
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    io.stderr.write(`selvage suggest: ${error.message}\n`);
    return 2;
  }
}

/** Calls of a live mesh are kept in memory, some kilobytes each. */
const callsMaxByDefault = 20_000;

type Options = ReturnType<typeof readOptions>;

function readOptions(args: string[]) {
  const { values, positionals } = readArguments(args, {
    ...meshOptions,
    live: { type: 'boolean' },
    output: { type: 'string', short: 'o' },
    policies: { type: 'string' },
    'dry-run': { type: 'boolean' },
    for: { type: 'string' },
    limit: { type: 'string' },
  });
  const { mesh, kubeconfig, context, live = false, output, policies } = values;
  if (live && positionals.length > 1)
    throw new CallError('--live takes one NAMESPACE/WORKLOAD, or none');
  if (!live && positionals.length === 0) {
    throw new CallError('give a file that selvage record wrote, or --live');
  }
  return {
    mesh,
    kubeconfig,
    context,
    live,
    files: live ? [] : positionals,
    workload: live ? positionals[0] : undefined,
    folder: output ?? null,
    policies: policies ?? null,
    dryRun: values['dry-run'] ?? false,
    forMs: readFor(values.for),
    callsMax: readLimit(values.limit, callsMaxByDefault),
  };
}

async function write(recording: Recording, options: Options, io: Io): Promise<number> {
  const known = await knownWorkloads(recording, options.policies, io.cwd);
  const suggestions: Suggestion[] = [];
  for (const observed of observe(recording.calls)) {
    const made = await suggestFor(observed, known, options, io);
    if (made !== null) suggestions.push(made);
  }
  if (suggestions.length === 0) {
    io.stderr.write('no call was observed that a policy could allow\n');
    return 1;
  }
  if (options.folder === null) {
    io.stdout.write(suggestions.map(({ text }) => text).join('---\n'));
    return 0;
  }
  const folder = resolve(io.cwd, options.folder);
  await mkdir(folder, { recursive: true });
  for (const { policy, text } of suggestions) {
    const file = `${policy.metadata.namespace}-${policy.metadata.name}.yaml`;
    await writeFile(join(folder, file), text);
    io.stderr.write(`${join(options.folder, file)}\n`);
  }
  return 0;
}

/** Null: no policy can be made. */
async function suggestFor(
  observed: Observed,
  known: readonly Workload[],
  { dryRun }: Options,
  io: Io,
): Promise<Suggestion | null> {
  const { namespace, workload: name, callers } = observed;
  if (callers.length === 0) {
    for (const line of commentsOn(observed)) io.stderr.write(`${line}\n`);
    return null;
  }
  const near = known.filter((one) => one.namespace === namespace);
  const workload = near.find((one) => one.name === name);
  if (workload === undefined || Object.keys(workload.labels).length === 0) {
    const where = 'give the YAML that has it by --policies';
    throw new CallError(`the labels of ${namespace}/${name} are not known: ${where}`);
  }
  const others = near.filter((one) => one !== workload);
  const { plaintext } = observed;
  if (plaintext > 0) {
    const calls = `${plaintext} call${plaintext === 1 ? '' : 's'} in plaintext`;
    io.stderr.write(
      `${namespace}/${name}: ${calls} would be denied by the policy suggested for it\n`,
    );
  }
  const suggestion = suggestPolicy(observed, { workload, others, dryRun });
  await verifySuggestion(observed, suggestion, workload);
  return suggestion;
}

/** The YAML's first: a recording knows only those that it is of. */
async function knownWorkloads(
  { header }: Recording,
  policies: string | null,
  cwd: string,
): Promise<readonly Workload[]> {
  if (policies === null) return header.workloads;
  const { workloads } = await loadModel([policies], cwd);
  const named = new Set(workloads.map(({ namespace, name }) => `${namespace}/${name}`));
  const more = header.workloads.filter(({ namespace, name }) => !named.has(`${namespace}/${name}`));
  return [...workloads, ...more];
}
