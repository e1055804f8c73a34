// Asks many sidecars at once, and says of whom nothing was heard.
import { CallError } from '../calls/failure.ts';
import type { Output } from '../io.ts';
import { printable } from '../printable.ts';
import type { AskableSidecar, Sidecars } from './source.ts';

export interface Answer<T> {
  readonly sidecar: AskableSidecar;
  readonly value: T;
}

export interface Failure {
  readonly sidecar: AskableSidecar;
  readonly error: Error;
}

export interface Answers<T> {
  readonly answers: readonly Answer<T>[];
  readonly failures: readonly Failure[];
}

/** Never rejects for what one of them does. */
export async function askAll<T>(
  sidecars: readonly AskableSidecar[],
  ask: (sidecar: AskableSidecar) => Promise<T>,
): Promise<Answers<T>> {
  const answers: Answer<T>[] = [];
  const failures: Failure[] = [];
  await Promise.all(
    sidecars.map(async (sidecar) => {
      try {
        answers.push({ sidecar, value: await ask(sidecar) });
      } catch (error) {
        failures.push({
          sidecar,
          error: error instanceof Error ? error : new Error(String(error)),
        });
      }
    }),
  );
  return { answers, failures };
}

/** @throws CallError when there is none. @param namespace all where it is left out */
export async function listSidecars(
  sidecars: Sidecars,
  namespace?: string,
): Promise<readonly AskableSidecar[]> {
  const found = await sidecars.list(namespace);
  if (found.length > 0) return found;
  const where = namespace === undefined ? '' : ` in namespace ${namespace}`;
  throw new CallError(`there is no sidecar${where} in ${sidecars.title}`);
}

export interface WorkloadName {
  readonly namespace: string;
  readonly workload: string;
}

/** Reads `shop/web`. @throws CallError */
export function readWorkload(text: string): WorkloadName {
  const [, namespace, workload] = /^([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (namespace !== undefined && workload !== undefined) return { namespace, workload };
  throw new CallError(`a workload is NAMESPACE/WORKLOAD, not "${text}"`);
}

/** Those of its pods. @throws CallError that says which workloads there are */
export async function sidecarsOfWorkload(
  sidecars: Sidecars,
  { namespace, workload }: WorkloadName,
): Promise<readonly AskableSidecar[]> {
  const all = await sidecars.list(namespace);
  const found = all.filter((one) => one.workload === workload);
  if (found.length > 0) return found;
  const known = [...new Set(all.map((one) => `${namespace}/${one.workload}`))].toSorted();
  const there =
    known.length === 0
      ? `no workload of namespace ${namespace} has one`
      : `workloads are ${known.slice(0, 20).join(', ')}`;
  throw new CallError(`no pod of ${namespace}/${workload} has a sidecar; ${there}`);
}

const failuresShown = 3;

/** A line for the first of them, and how many more there are. */
export function noteFailures(failures: readonly Failure[], stderr: Output): void {
  for (const { error } of failures.slice(0, failuresShown)) {
    stderr.write(`${printable(error.message)}\n`);
  }
  const more = failures.length - failuresShown;
  if (more > 0) stderr.write(`${more} more sidecars did not answer\n`);
}
