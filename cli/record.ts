// `selvage record`: keeps the calls of a workload in a file, heads only and without secrets, to be judged again later.
import { closeSync, openSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';

import type { Workload } from '#api/workload.ts';

import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { parseDurationMs } from './cluster/age.ts';
import type { Io } from './io.ts';
import type { RecordingHeader } from './recording/format.ts';
import { sidecarsOf, tapCalls } from './recording/tapping.ts';
import { withoutSecrets } from './recording/without-secrets.ts';
import { meshOptions, openSidecars, type OpenSidecars } from './sidecars/open.ts';
import { runWithSidecars } from './sidecars/run.ts';
import type { AskableSidecar } from './sidecars/source.ts';

/** Exit status 0: recorded; 2: wrong usage, or nothing can be listened to. */
export async function record(
  args: string[],
  io: Io,
  open: OpenSidecars = openSidecars,
): Promise<number> {
  return runWithSidecars(
    { name: 'record', io, open },
    () => readOptions(args),
    async (sidecars, { workload, file, forMs, callsMax }) => {
      const found = await sidecarsOf(sidecars, workload);
      const header: RecordingHeader = {
        selvage: 'recording',
        version: 1,
        mesh: sidecars.title,
        begunAt: new Date().toISOString(),
        workloads: await workloadsOf(found),
      };
      const out = file === null ? null : openFile(resolve(io.cwd, file));
      const tell = (value: unknown): void => {
        const line = `${JSON.stringify(value)}\n`;
        if (out === null) io.stdout.write(line);
        else writeSync(out, line);
      };
      tell(header);
      io.stderr.write(`recording calls of ${workload}${endOf(forMs)}\n`);
      const tapping = { workload, facts: true, forMs, callsMax };
      const { calls, dropped } = await tapCalls(sidecars, tapping, io, (call) =>
        tell(withoutSecrets(call)),
      );
      if (out !== null) closeSync(out);
      const lost = dropped === 0 ? '' : `; ${dropped} more came too fast`;
      io.stderr.write(`${calls} call${calls === 1 ? '' : 's'} recorded${lost}\n`);
      return 0;
    },
  );
}

/** Without a limit a recording would grow until the disk is full. */
const callsMaxByDefault = 100_000;

/** Labels and ports of each workload, by the snapshot that one of its sidecars has. */
export async function workloadsOf(sidecars: readonly AskableSidecar[]): Promise<Workload[]> {
  const one = new Map(sidecars.map((each) => [`${each.namespace}/${each.workload}`, each]));
  const dumps = await Promise.all(
    [...one.values()].map((each) => each.ask('/config_dump').catch(() => null)),
  );
  return dumps.flatMap((dump) => {
    const { workload } = (dump ?? {}) as { readonly workload?: Workload };
    return workload === undefined ? [] : [workload];
  });
}

/** @throws CallError for what is no whole number from 1 */
export function readLimit(text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new CallError(`--limit is a whole number from 1, not "${text}"`);
}

/** @throws CallError for what is no time */
export function readFor(text: string | undefined): number {
  if (text === undefined) return Infinity;
  const ms = parseDurationMs(text);
  if (ms !== null && ms > 0) return ms;
  throw new CallError(`--for is a time like 30s or 5m, not "${text}"`);
}

function readOptions(args: string[]) {
  const { values, positionals } = readArguments(args, {
    ...meshOptions,
    output: { type: 'string', short: 'o' },
    for: { type: 'string' },
    limit: { type: 'string' },
  });
  const [workload, ...more] = positionals;
  if (workload === undefined || more.length > 0 || !/^[^/]+\/[^/]+$/.test(workload)) {
    throw new CallError('say whose calls: NAMESPACE/WORKLOAD');
  }
  const { mesh, kubeconfig, context } = values;
  const forMs = readFor(values.for);
  const callsMax = readLimit(values.limit, callsMaxByDefault);
  return { mesh, kubeconfig, context, workload, file: values.output ?? null, forMs, callsMax };
}

function endOf(forMs: number): string {
  return Number.isFinite(forMs) ? ` for ${forMs / 1000} s` : ' until Ctrl-C';
}

/** For its user only: who calls what is nobody else's business. */
function openFile(path: string): number {
  try {
    return openSync(path, 'w', 0o600);
  } catch (error) {
    throw new CallError(`${path} cannot be written: ${(error as Error).message}`, { cause: error });
  }
}
