// Sidecars that tell of given calls and end, or of nothing more until nobody listens.
import type { CallRecord } from '#api/call-record.ts';
import type { OpenSidecars } from '#cli/sidecars/open.ts';
import type { AskableSidecar } from '#cli/sidecars/source.ts';

import { header } from './calls.ts';

export interface FakePod {
  readonly pod: string;
  /** Left out: it refuses. */
  readonly lines?: readonly (CallRecord | { readonly dropped: number })[];
}

/** @param asked gets the path of each question */
export function openFake(pods: readonly FakePod[], asked: string[] = []): OpenSidecars {
  // Whose taps have ended, and are not there any more.
  const gone = new Set<string>();
  const sidecars = pods.map(({ pod, lines }): AskableSidecar => ({
    namespace: 'shop',
    workload: 'cart',
    pod,
    ask: async (path) => {
      asked.push(path);
      return { workload: header.workloads[0] };
    },
    post: async () => null,
    follow: async (path, onLine, signal, onOpen) => {
      asked.push(path);
      if (lines === undefined) throw new Error(`the sidecar of shop/${pod} does not answer`);
      onOpen?.();
      for (const line of lines) if (!signal.aborted) onLine(line);
      gone.add(pod);
    },
  }));
  return async () => ({
    title: 'a test',
    list: async (namespace) =>
      namespace === undefined || namespace === 'shop'
        ? sidecars.filter(({ pod }) => !gone.has(pod))
        : [],
    close: async () => undefined,
  });
}
