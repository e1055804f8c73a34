// A sidecar process whose calls are traced, and what it says of their spans.
import type { TraceProvider } from '#api/telemetry.ts';
import { snapshotOf, spiffe, type Rig, type SidecarOptions } from '#test/sidecar/rig.ts';

import { SidecarProcess } from './sidecar-process.ts';

export const traceId = '0af7651916cd43dd8448eb211c80319c';
/** Header of a call that is to be traced. */
export const sampled = `traceparent: 00-${traceId}-b7ad6b7169203331-01\r\n`;

/** @param provider that Telemetry names, for both directions */
export async function tracedSidecar(
  rig: Rig,
  options: SidecarOptions,
  env: Record<string, string>,
  provider?: TraceProvider,
): Promise<SidecarProcess> {
  const tracing = provider === undefined ? {} : { tracing: { provider } };
  const snapshot = { ...snapshotOf(options), telemetry: { inbound: tracing, outbound: tracing } };
  const { namespace, serviceAccount } = snapshot.workload;
  const { certPem, keyPem } = await rig.issued(spiffe(namespace, serviceAccount));
  const files = { snapshot, certPem, keyPem, trustBundlePem: rig.ca.certPem };
  const sidecar = await SidecarProcess.start(files, options.application ?? 1, env);
  rig.onClose(() => sidecar.close());
  return sidecar;
}

/** By their outcome. */
export async function spansOf(sidecar: SidecarProcess): Promise<Record<string, string>> {
  const { body } = await sidecar.admin('/stats/prometheus');
  const found = [...body.matchAll(/^selvage_spans_total\{outcome="(\w+)"\} (\d+)$/gm)];
  return Object.fromEntries(found.map(([, outcome = '', value = '']) => [outcome, value]));
}
