// Envoy's response flags: the short form of access logs, the long one, and the bit of each in CEL's `response.flags`.

/** In the order of their bits (envoy/stream_info/stream_info.h). */
const inOrder: readonly (readonly [short: string, long: string])[] = [
  ['LH', 'FailedLocalHealthCheck'],
  ['UH', 'NoHealthyUpstream'],
  ['UT', 'UpstreamRequestTimeout'],
  ['LR', 'LocalReset'],
  ['UR', 'UpstreamRemoteReset'],
  ['UF', 'UpstreamConnectionFailure'],
  ['UC', 'UpstreamConnectionTermination'],
  ['UO', 'UpstreamOverflow'],
  ['NR', 'NoRouteFound'],
  ['DI', 'DelayInjected'],
  ['FI', 'FaultInjected'],
  ['RL', 'RateLimited'],
  ['UAEX', 'UnauthorizedExternalService'],
  ['RLSE', 'RateLimitServiceError'],
  ['DC', 'DownstreamConnectionTermination'],
  ['URX', 'UpstreamRetryLimitExceeded'],
  ['SI', 'StreamIdleTimeout'],
  ['IH', 'InvalidEnvoyRequestHeaders'],
  ['DPE', 'DownstreamProtocolError'],
  ['UMSDR', 'UpstreamMaxStreamDurationReached'],
  ['RFCF', 'ResponseFromCacheFilter'],
  ['NFCF', 'NoFilterConfigFound'],
  ['DT', 'DurationTimeout'],
  ['UPE', 'UpstreamProtocolError'],
  ['NC', 'NoClusterFound'],
  ['OM', 'OverloadManagerTerminated'],
];

const byShort: ReadonlyMap<string, { readonly long: string; readonly bit: number }> = new Map(
  inOrder.map(([short, long], i) => [short, { long, bit: 1 << i }]),
);

/** @param flags as in access logs: `URX,UF` or `-` */
export function flagBits(flags: string): number {
  if (flags === '-') return 0;
  return flags.split(',').reduce((bits, flag) => bits | (byShort.get(flag)?.bit ?? 0), 0);
}

/** `UpstreamRetryLimitExceeded,UpstreamConnectionFailure`; `-` stays. */
export function longFlags(flags: string): string {
  if (flags === '-') return flags;
  return flags
    .split(',')
    .map((flag) => byShort.get(flag)?.long ?? flag)
    .join(',');
}
