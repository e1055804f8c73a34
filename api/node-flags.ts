// How Node is started for a sidecar, wherever one is: pods, `selvage up`, tests, the benchmark.

/**
 * Flags of Node that only count at its start.
 *
 * - The young generation stays at 1 MiB for each half, in place of 16: what a request leaves behind
 *   dies before the next collection either way. Under load that is 20 to 60 MB less resident memory a
 *   process, at the same CPU, and shorter pauses.
 * - node:ffi is experimental, which a log need not say at each start.
 */
export const sidecarNodeFlags: readonly string[] = [
  '--max-semi-space-size=1',
  '--disable-warning=ExperimentalWarning',
];
