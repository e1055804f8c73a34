// Ending on Ctrl-C, on SIGTERM, and when the terminal or the reader of the output goes away.

/** Resolves at the first signal. A second Ctrl-C ends the process at once, for whoever will not wait. */
export function untilSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (asked && signal === 'SIGINT') process.exit(130);
      asked = true;
      resolve();
    });
  }
  // Nobody reads any more: `| head`, or a terminal that went without a SIGHUP.
  process.stdout.on('error', () => resolve());
  return promise;
}

/** The same for whoever asks now and then. */
export function onSignal(): AbortSignal {
  const controller = new AbortController();
  void untilSignal().then(() => controller.abort());
  return controller.signal;
}
