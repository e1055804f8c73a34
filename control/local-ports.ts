// Where the sidecar of a pod without capture listens for each port of the workload, as the pod's annotation says.
import { localPortsAnnotation } from '#api/injection/names.ts';
import { isFields } from '#api/read-meta.ts';

/** Port of the workload to port of the sidecar. */
export type LocalPorts = Readonly<Record<string, unknown>>;

/** An annotation that cannot be read maps nothing. */
export function readLocalPorts(annotations: Readonly<Record<string, string>>): LocalPorts {
  const text = annotations[localPortsAnnotation];
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : {};
  } catch {
    return {};
  }
}

/** The port to call in place of the workload's own. */
export function portToCall(localPorts: LocalPorts, port: number): number {
  const local = Object.hasOwn(localPorts, port) ? localPorts[port] : undefined;
  return isPort(local) ? local : port;
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536;
}
