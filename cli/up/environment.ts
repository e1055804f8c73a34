// The environment of a local program: what its manifest says, its ports, and the way out through its sidecar.
import { delimiter, dirname } from 'node:path';

import type { EnvironmentVariable } from '#api/kinds/pod.ts';

import type { LocalPod } from './plan.ts';

/**
 * Kubernetes' order: later entries see earlier ones as `$(NAME)`. The mesh's own variables come first, so that a
 * manifest may override them. `base` is the environment of the mesh's own process.
 */
export function environmentOf(
  pod: LocalPod,
  variables: readonly EnvironmentVariable[],
  base: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const env: Record<string, string> = {
    ...inherited(base),
    ...portsOf(pod),
    ...servicesOf(pod),
    ...proxyOf(pod),
  };
  for (const { name, value, valueFrom } of variables) {
    env[name] = valueFrom?.fieldRef
      ? fieldOf(pod, valueFrom.fieldRef.fieldPath)
      : expand(value ?? '', env);
  }
  return env;
}

/** `$(NAME)` becomes the variable's value, `$$(NAME)` stays as `$(NAME)`, an unknown name stays as written. */
export function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$(\$?)\(([\w.-]+)\)/g, (whole, escaped: string, name: string) =>
    escaped === '' ? (env[name] ?? whole) : whole.slice(1),
  );
}

/** A program sees the user's shell, but not the settings of the mesh's own processes. */
function inherited(base: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(base)) {
    if (value !== undefined && !name.startsWith('SELVAGE_')) env[name] = value;
  }
  // Manifests say `node`: it is the Node that the mesh itself runs on.
  env['PATH'] = [dirname(process.execPath), base['PATH'] ?? ''].join(delimiter);
  return env;
}

function portsOf(pod: LocalPod): Record<string, string> {
  const env: Record<string, string> = {};
  for (const port of pod.ports) {
    env['PORT'] ??= String(port.app);
    env[`PORT_${port.port}`] = String(port.app);
    for (const name of port.names) env[`PORT_${shouted(name)}`] = String(port.app);
  }
  return env;
}

/** As a kubelet: MYSQL_SERVICE_HOST, MYSQL_SERVICE_PORT (of its first port), MYSQL_SERVICE_PORT_<NAME>. */
function servicesOf({ bytesPorts }: LocalPod): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { service, name, listen } of bytesPorts) {
    const prefix = `${shouted(service)}_SERVICE`;
    env[`${prefix}_HOST`] = '127.0.0.1';
    env[`${prefix}_PORT`] ??= String(listen);
    if (name !== '') env[`${prefix}_PORT_${shouted(name)}`] = String(listen);
  }
  return env;
}

function shouted(name: string): string {
  return name.toUpperCase().replaceAll(/[-.]/g, '_');
}

function proxyOf(pod: LocalPod): Record<string, string> {
  if (pod.sidecar === null) return {};
  const proxy = `http://127.0.0.1:${pod.sidecar.outbound}`;
  const own = 'localhost,127.0.0.1,::1';
  return {
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    HTTPS_PROXY: proxy,
    https_proxy: proxy,
    NO_PROXY: own,
    no_proxy: own,
    // Node's own fetch and http honour the proxy only when told to.
    NODE_USE_ENV_PROXY: '1',
  };
}

function fieldOf(pod: LocalPod, path: string): string {
  const label = /^metadata\.labels\['([^']+)'\]$/.exec(path)?.[1];
  if (label !== undefined) return pod.labels[label] ?? '';
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': pod.name,
    'metadata.namespace': pod.namespace,
    'spec.serviceAccountName': pod.serviceAccount,
    'status.podIP': '127.0.0.1',
    'status.hostIP': '127.0.0.1',
  };
  return fields[path] ?? '';
}
