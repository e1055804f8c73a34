// A mesh whose sidecars answer what a test says.
import { RefusedAnswer } from '#cli/sidecars/answer.ts';
import type { OpenSidecars } from '#cli/sidecars/open.ts';
import type { AskableSidecar } from '#cli/sidecars/source.ts';

export interface FakeSidecar {
  /** `shop/web/web-0`. */
  readonly name: string;
  /** By path, with its query; a function is asked each time, an Error is thrown. */
  readonly answers?: Readonly<Record<string, unknown>>;
  /** Lines of each tap. */
  readonly lines?: readonly unknown[];
  /** The tap goes on after its lines, until it is ended. */
  readonly endless?: boolean;
}

export interface FakeMesh {
  readonly open: OpenSidecars;
  /** Paths that were asked. */
  readonly asked: string[];
  readonly closed: () => boolean;
}

export function fakeMesh(...sidecars: readonly FakeSidecar[]): FakeMesh {
  const asked: string[] = [];
  let closed = false;
  // Whose taps have ended, and are not there any more.
  const gone = new Set<AskableSidecar>();
  const all = sidecars.map((one) => askable(one, asked, gone));
  return {
    asked,
    closed: () => closed,
    open: async () => ({
      title: 'the mesh of a test',
      list: async (namespace) =>
        all.filter(
          (one) => !gone.has(one) && (namespace === undefined || one.namespace === namespace),
        ),
      close: async () => void (closed = true),
    }),
  };
}

function askable(
  { name, answers = {}, lines, endless }: FakeSidecar,
  asked: string[],
  gone: Set<AskableSidecar>,
): AskableSidecar {
  const [namespace = '', workload = '', pod = ''] = name.split('/');
  const answer = async (path: string): Promise<unknown> => {
    asked.push(path);
    const known = answers[path];
    const value: unknown = typeof known === 'function' ? (known as () => unknown)() : known;
    if (value instanceof Error) throw value;
    if (value !== undefined) return JSON.parse(JSON.stringify(value)) as unknown;
    throw new RefusedAnswer(`${namespace}/${pod}`, 404, '{"error":"nothing of that is known"}');
  };
  const self: AskableSidecar = {
    namespace,
    workload,
    pod,
    ask: answer,
    post: (path) => answer(path),
    async follow(path, onLine, signal, onOpen) {
      asked.push(path);
      if (lines === undefined) throw new Error(`the sidecar of ${namespace}/${pod} is away`);
      onOpen?.();
      for (const line of lines) onLine(line);
      if (endless !== true) gone.add(self);
      else if (!signal.aborted) {
        await new Promise((end) => signal.addEventListener('abort', end, { once: true }));
      }
    },
  };
  return self;
}
