// A call as people write it, turned into what a sidecar would see.
import { isIP } from 'node:net';

import type { MeshWorkload } from '#api/mesh.ts';
import { selects } from '#api/workload-ports.ts';
import type { Workload, WorkloadPort } from '#api/workload.ts';
import type { RecordedCall } from '#policy/judge/call.ts';

import { CallError } from './failure.ts';
import type { MeshCall } from './mesh-call.ts';
import type { MeshModel } from './model.ts';

export interface ResolvedCall {
  readonly workload: MeshWorkload;
  readonly recorded: RecordedCall;
}

/** Finds the workload and the identity. @throws CallError that lists what there is instead */
export function resolveCall(model: MeshModel, call: MeshCall): ResolvedCall {
  const workload = findWorkload(model, call.to);
  const port = choosePort(workload, call);
  const identity = findIdentity(model, call.from);
  const ip = call.ip ?? '10.0.0.1';
  const { destinationIp = isIP(ip) === 6 ? 'fd00::2' : '10.0.0.2' } = call;
  for (const one of [ip, destinationIp]) {
    if (isIP(one) === 0) throw new CallError(`"${one}" is no IP address`);
  }
  const source = { identity, ip };
  const destination = { ip: destinationIp, port };
  const service = frontOf(model, workload, port) ?? { name: workload.name, port };
  const usual = `outbound_.${service.port}_._.${service.name}.${workload.namespace}.svc.cluster.local`;
  const { sni = usual } = call;
  if (call.tcp === true) {
    return { workload, recorded: { kind: 'tcp', source, destination, sni } };
  }
  const headers = Object.entries(call.headers ?? {}).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, one]),
  );
  const host = call.host ?? hostOf(service, workload.namespace);
  const { method = 'GET', path = '/' } = call;
  return { workload, recorded: { method, path, host, headers, source, destination, sni } };
}

function findWorkload(model: MeshModel, to: string): MeshWorkload {
  const found = model.workloads.find(({ namespace, name }) => `${namespace}/${name}` === to);
  if (found !== undefined) return found;
  const selected = selectedBy(model, to);
  if (selected.length > 0) {
    throw new CallError(`${to} is a Service; name a workload behind it: ${selected.join(', ')}`);
  }
  const known = model.workloads.map(({ namespace, name }) => `${namespace}/${name}`);
  throw new CallError(`there is no workload ${to}; ${listOf('workloads', known)}`);
}

function selectedBy(model: MeshModel, to: string): string[] {
  const service = model.resources.services.find(
    ({ metadata }) => `${metadata.namespace}/${metadata.name}` === to,
  );
  const selector = service?.spec.selector;
  if (service === undefined || isEmpty(selector)) return [];
  return model.workloads
    .filter(({ namespace }) => namespace === service.metadata.namespace)
    .filter(({ labels }) => selects(selector, labels))
    .map(({ namespace, name }) => `${namespace}/${name}`);
}

/** A Service without a selector stands for no workload. */
function isEmpty(selector: Readonly<Record<string, string>> | undefined): selector is undefined {
  return selector === undefined || Object.keys(selector).length === 0;
}

function findIdentity(model: MeshModel, from: string): string | null {
  if (from === 'none') return null;
  const whole = from.startsWith('spiffe://') ? from.slice('spiffe://'.length) : from;
  if (whole.split('/').length === 5) return whole;
  const known = serviceAccountsOf(model);
  if (!known.includes(from)) {
    const list = listOf('service accounts', known);
    throw new CallError(`there is no service account ${from}; ${list}; \`none\` is plaintext`);
  }
  const [namespace, account] = from.split('/');
  return `${model.resources.meshConfig.trustDomain}/ns/${namespace}/sa/${account}`;
}

/** Those that are declared, those that workloads run as, and the `default` of each namespace. */
export function serviceAccountsOf(model: MeshModel): readonly string[] {
  const { serviceAccounts, namespaces } = model.resources;
  const known = new Set([
    ...serviceAccounts.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
    ...model.workloads.map(({ namespace, serviceAccount }) => `${namespace}/${serviceAccount}`),
    ...model.workloads.map(({ namespace }) => `${namespace}/default`),
    ...namespaces.map(({ metadata }) => `${metadata.name}/default`),
  ]);
  return [...known].toSorted((a, b) => (a < b ? -1 : 1));
}

function choosePort(workload: Workload, call: MeshCall): number {
  if (call.port !== undefined) return call.port;
  const port = workload.ports.find((one) => carriesTcp(one) === (call.tcp === true));
  const chosen = port ?? workload.ports[0];
  if (chosen === undefined) throw new CallError(`${call.to} declares no port; say which`);
  return chosen.port;
}

function carriesTcp({ protocol }: WorkloadPort): boolean {
  return protocol === 'tcp' || protocol === 'tls';
}

export interface Front {
  readonly name: string;
  readonly port: number;
}

/** The Service port that leads to the workload's; null where none does. */
export function frontOf(model: MeshModel, workload: MeshWorkload, port: number): Front | null {
  // A Service's own name of the port is another matter.
  const named = workload.containers.flatMap((container) => container.ports);
  for (const { metadata, spec } of model.resources.services) {
    if (metadata.namespace !== workload.namespace) continue;
    if (isEmpty(spec.selector) || !selects(spec.selector, workload.labels)) continue;
    for (const { port: front, targetPort = front } of spec.ports ?? []) {
      const target =
        typeof targetPort === 'number'
          ? targetPort
          : named.find(({ name }) => name === targetPort)?.containerPort;
      if (target === port) return { name: metadata.name, port: front };
    }
  }
  return null;
}

/** What an HTTP client writes for a workload's port, by the Service in front of it. */
export function usualHost(model: MeshModel, workload: MeshWorkload, port: number): string {
  const front = frontOf(model, workload, port) ?? { name: workload.name, port };
  return hostOf(front, workload.namespace);
}

/** With the port, unless it is 80. */
function hostOf({ name, port }: Front, namespace: string): string {
  const host = `${name}.${namespace}.svc.cluster.local`;
  return port === 80 ? host : `${host}:${port}`;
}

function listOf(what: string, names: readonly string[]): string {
  if (names.length === 0) return `the files describe no ${what}`;
  const shown = names.slice(0, 20).join(', ');
  const more = names.length > 20 ? ` and ${names.length - 20} more` : '';
  return `${what} are ${shown}${more}`;
}
