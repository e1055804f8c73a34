// Where resources come from: a folder, a cluster, or both.
import type { AnyResource } from '#api/load.ts';
import type { Problem } from '#api/problem.ts';

export interface ResourceSource {
  /** Resolves when all was read once, however long that takes. Changes after that are told. */
  start(): Promise<void>;
  stop(): void;
  /** Resolves when what is to outlive a restart is stored. */
  flush(): Promise<void>;
  /** All that is in force, oldest first. */
  resources(): readonly AnyResource[];
  /** What is wrong with it. */
  problems(): readonly Problem[];
}

/** Several sources as one. Of the same resource in two of them the one of the later source counts. */
export function joinSources(sources: readonly ResourceSource[]): ResourceSource {
  const [only] = sources;
  if (only !== undefined && sources.length === 1) return only;
  return {
    start: async () => void (await Promise.all(sources.map((source) => source.start()))),
    stop: () => sources.forEach((source) => source.stop()),
    flush: async () => void (await Promise.all(sources.map((source) => source.flush()))),
    resources: () => sources.flatMap((source) => source.resources()),
    problems: () => sources.flatMap((source) => source.problems()),
  };
}
