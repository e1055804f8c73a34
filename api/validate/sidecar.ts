// Sidecar: what Istio's validating webhook refuses beyond the shape, and what is not carried out here.
import type { SidecarEgress, SidecarSpec } from '../kinds/sidecar.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { hostFault, isDnsLabel, wildcardNameFault } from './domain-names.ts';
import { selectorLabelFindings } from './labels.ts';
import { ingressFindings } from './sidecar-ingress.ts';
import { nameFindings, sidecarError, sidecarWarning } from './sidecar-ports.ts';
import { poolFindings } from './traffic-policy.ts';
import { isIp } from './values.ts';
import { unixPrefix } from './workload-entry.ts';

export function validateSidecar({ spec, metadata }: Resource<string, SidecarSpec>): Finding[] {
  const { workloadSelector, ingress, egress, inboundConnectionPool, outboundTrafficPolicy } = spec;
  const findings: Finding[] = [];
  const says = [inboundConnectionPool, outboundTrafficPolicy].some((one) => one !== undefined);
  if (!says && ingress.length + egress.length === 0) {
    findings.push(sidecarError('spec', 'a Sidecar must say something', 'add egress, or remove it'));
  }
  if (workloadSelector !== undefined) {
    const at = 'spec.workloadSelector.labels';
    findings.push(...selectorLabelFindings(workloadSelector.labels, at));
  }
  findings.push(...ingressFindings(ingress));
  findings.push(...poolFindings(inboundConnectionPool, 'spec.inboundConnectionPool'));
  findings.push(...portFindings(egress));
  for (const [i, listener] of egress.entries()) {
    const at = joinIndex('spec.egress', i);
    findings.push(...egressFindings(listener, at, metadata.namespace));
  }
  findings.push(...outboundFindings(outboundTrafficPolicy));
  return findings;
}

function portFindings(egress: readonly SidecarEgress[]): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const [i, { port, bind }] of egress.entries()) {
    const at = joinIndex('spec.egress', i);
    if (port === undefined) {
      if (i === egress.length - 1) continue;
      findings.push(
        sidecarError(at, 'an egress without a port is the last one', 'move it to the end'),
      );
      continue;
    }
    const key = port.number === 0 ? bind : String(port.number);
    if (seen.has(key)) findings.push(sidecarError(`${at}.port`, `two listeners are for ${key}`));
    seen.add(key);
  }
  return findings;
}

function egressFindings(listener: SidecarEgress, at: string, namespace: string): Finding[] {
  const { port, bind, captureMode, hosts } = listener;
  const findings: Finding[] = [];
  const add = (path: string, message: string, mend?: string): void => {
    findings.push(sidecarError(path, message, mend));
  };
  if (port !== undefined) {
    findings.push(...nameFindings(port, `${at}.port`));
    const isSocket = bind.startsWith(unixPrefix);
    if (port.number === 0 && !isSocket) add(`${at}.port`, 'a port of 0 is for bind: unix://… only');
    if (isSocket && captureMode === 'IPTABLES') {
      add(`${at}.captureMode`, 'nothing captures connections to a socket of a file');
    }
    if (bind !== '' && !isSocket && !isIp(bind)) add(`${at}.bind`, `"${bind}" is no IP address`);
  }
  if (bind !== '' || captureMode === 'NONE') {
    findings.push(
      sidecarWarning(
        at,
        'listeners of its own are not opened: outbound calls are captured as usual',
      ),
    );
  }
  if (hosts.length === 0) add(at, 'an egress needs hosts', 'add hosts: ["./*"]');
  const seen = new Set<string>();
  for (const [i, host] of hosts.entries()) {
    const path = joinIndex(`${at}.hosts`, i);
    const fault = egressHostFault(host);
    if (fault !== null) add(path, fault, 'write NAMESPACE/HOST, as ./* or shop/*');
    const meant = host.replace(/^\.\//, `${namespace}/`);
    if (seen.has(meant)) findings.push(sidecarWarning(path, `${host} is there twice`));
    seen.add(meant);
  }
  return findings;
}

/** Namespace and host of an egress; the host is whole, or has a * in front. */
export function egressHostFault(written: string): string | null {
  const [namespace = '', host, ...more] = written.split('/');
  if (host === undefined || more.length > 0) return `"${written}" is not NAMESPACE/HOST`;
  if (!['.', '*', '~'].includes(namespace) && !isDnsLabel(namespace)) {
    return `"${namespace}" is no namespace`;
  }
  if (host === '*') return null;
  if (namespace === '~') return 'a "~" chooses nothing: its host is *';
  return wildcardNameFault(host);
}

function outboundFindings(policy: SidecarSpec['outboundTrafficPolicy']): Finding[] {
  const proxy = policy?.egressProxy;
  if (proxy === undefined) return [];
  const at = 'spec.outboundTrafficPolicy.egressProxy';
  if (policy?.mode !== 'ALLOW_ANY') {
    return [sidecarError(at, 'an egressProxy goes with ALLOW_ANY', 'write mode: ALLOW_ANY')];
  }
  const findings: Finding[] = [];
  const fault = hostFault(proxy.host);
  if (fault !== null) findings.push(sidecarError(`${at}.host`, `host: ${fault}`));
  if ((proxy.port?.number ?? 0) === 0) {
    findings.push(sidecarError(`${at}.port`, 'an egressProxy needs a port'));
  }
  findings.push(
    sidecarWarning(at, 'egressProxy is not carried out: calls go where they were going'),
  );
  return findings;
}
