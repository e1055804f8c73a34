// Stopping in order: closers run one after the other on SIGTERM or SIGINT, within a deadline.
import type { Log } from './log.ts';

export interface Closer {
  /** For the log: `inbound listener`. */
  readonly name: string;
  close(): Promise<void> | void;
}

export interface ShutdownOptions {
  readonly log: Log;
  /** For all closers together; the process ends with status 1 when it passes. */
  readonly deadlineMs: number;
  /** `process`, or a stand-in for tests. */
  readonly process?: ShutdownProcess;
}

interface ShutdownProcess {
  on(signal: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  exit(status: number): void;
}

const signals = [
  ['SIGTERM', 15],
  ['SIGINT', 2],
] as const;

/**
 * Runs the closers in their order, first one first, on the first signal, then ends the process: 0 when all closed,
 * 1 when one failed or the deadline passed. A second signal ends it at once with 128 + the signal's number.
 * The array is read when the signal comes, so closers may be added later. Returns the same stop for other reasons.
 */
export function closeOnSignal(
  closers: readonly Closer[],
  options: ShutdownOptions,
): (reason: string) => Promise<void> {
  const target = options.process ?? process;
  let stopping: Promise<void> | null = null;
  const stop = (reason: string): Promise<void> => {
    stopping ??= closeAll(closers, options, reason).then((status) => target.exit(status));
    return stopping;
  };
  for (const [signal, number] of signals) {
    target.on(signal, () => {
      if (stopping === null) void stop(signal);
      else target.exit(128 + number);
    });
  }
  return stop;
}

/**
 * Ends the process at once on a signal, while there is nothing to close in order yet. Process 1 of a
 * container is not ended by a signal that it does not listen to.
 */
export function endOnSignal(
  log: Log,
  target: ShutdownProcess & Pick<NodeJS.EventEmitter, 'off'> = process,
): { stop(): void } {
  const listeners = signals.map(([signal, number]) => {
    const listener = (): void => {
      log.info({ reason: signal }, 'stopped while starting');
      target.exit(128 + number);
    };
    target.on(signal, listener);
    return { signal, listener };
  });
  return {
    stop: () => listeners.forEach(({ signal, listener }) => target.off(signal, listener)),
  };
}

async function closeAll(
  closers: readonly Closer[],
  options: ShutdownOptions,
  reason: string,
): Promise<0 | 1> {
  const { log, deadlineMs } = options;
  log.info({ reason, deadlineMs }, 'stopping');
  let present = '';
  let failed = false;
  const { promise: late, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => resolve('late'), deadlineMs);
  const inOrder = async (): Promise<'done'> => {
    for (const closer of closers) {
      present = closer.name;
      try {
        await closer.close();
      } catch (error) {
        failed = true;
        log.error({ closer: closer.name, error }, 'could not close; going on with the next');
      }
    }
    return 'done';
  };
  const outcome = await Promise.race([inOrder(), late]);
  clearTimeout(timer);
  if (outcome === 'late') {
    log.error({ closer: present, deadlineMs }, 'deadline passed while closing; ending anyway');
    return 1;
  }
  log.info({}, 'stopped');
  return failed ? 1 : 0;
}
