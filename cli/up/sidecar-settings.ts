// The environment of a pod's sidecar on one machine, as far as the pod says it.
import type { LocalPod } from './plan.ts';

export function sidecarSettings(
  pod: LocalPod,
  { outbound, admin }: NonNullable<LocalPod['sidecar']>,
): Record<string, string> {
  return {
    SELVAGE_NAMESPACE: pod.namespace,
    SELVAGE_WORKLOAD: pod.workload,
    SELVAGE_POD: pod.name,
    SELVAGE_SERVICE_ACCOUNT: pod.serviceAccount,
    SELVAGE_CAPTURE: 'explicit',
    SELVAGE_INBOUND: pod.ports
      .map((p) => `127.0.0.1:${p.listen}=${p.port}>127.0.0.1:${p.app}`)
      .join(','),
    SELVAGE_OUTBOUND: `127.0.0.1:${outbound}`,
    SELVAGE_OUTBOUND_PORTS: pod.bytesPorts
      .map(({ listen, host, port }) => `127.0.0.1:${listen}=${host}:${port}`)
      .join(','),
    SELVAGE_ADMIN: `127.0.0.1:${admin}`,
    // What is shown of the traffic is read from the log, and every call is traced.
    SELVAGE_ACCESS_LOG_FORMAT: 'json',
    SELVAGE_ACCESS_LOG_KEPT: 'true',
    SELVAGE_TRACE_SAMPLING: '1',
    SELVAGE_TRACE_CONTEXT: 'true',
  };
}
