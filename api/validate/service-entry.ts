// ServiceEntry: what Istio's validating webhook refuses beyond the shape.
import type { ServiceEntrySpec } from '../kinds/service-entry.ts';
import { type Finding, joinIndex, joinKey } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { hostFault, isDnsLabel, nameFault, wildcardNameFault } from './domain-names.ts';
import { exportFindings } from './export-to.ts';
import { selectorLabelFindings } from './labels.ts';
import { ipBlockFault, isIp, isProtocol } from './values.ts';
import { endpointFindings, unixPrefix } from './workload-entry.ts';

export function validateServiceEntry(entry: Resource<string, ServiceEntrySpec>): Finding[] {
  const { spec, metadata } = entry;
  const { endpoints, workloadSelector } = spec;
  const findings = [...hostFindings(spec), ...portFindings(spec), ...resolutionFindings(spec)];
  if (workloadSelector !== undefined) {
    if (endpoints.length > 0) {
      const message = 'only one of workloadSelector and endpoints may be set';
      findings.push(error('spec.workloadSelector', message, 'remove one of them'));
    }
    const at = 'spec.workloadSelector.labels';
    findings.push(...selectorLabelFindings(workloadSelector.labels, at));
  }
  const ports = new Set(spec.ports.map(({ name }) => name));
  for (const [i, endpoint] of endpoints.entries()) {
    const at = joinIndex('spec.endpoints', i);
    findings.push(...endpointFindings(endpoint, at));
    for (const name of Object.keys(endpoint.ports ?? {})) {
      if (ports.has(name)) continue;
      const message = `the entry has no port "${name}"`;
      findings.push(error(joinKey(`${at}.ports`, name), message, 'name one of its ports'));
    }
  }
  return [...findings, ...exportFindings(spec.exportTo, metadata.namespace, { mayHide: true })];
}

function hostFindings({ hosts, addresses, resolution }: ServiceEntrySpec): Finding[] {
  const findings: Finding[] = [];
  for (const [i, host] of hosts.entries()) {
    const at = joinIndex('spec.hosts', i);
    if (host === '*') {
      findings.push(error(at, 'a host may not be * alone', 'name what is called'));
      continue;
    }
    const fault = wildcardNameFault(host);
    if (fault !== null) findings.push(error(at, `hosts: ${fault}`));
    else if (host.startsWith('*') && !host.startsWith('*.')) {
      const message = `"${host}" has a * that is no label of its own`;
      findings.push(error(at, message, 'write *.example.com'));
    }
  }
  for (const [i, address] of addresses.entries()) {
    const at = joinIndex('spec.addresses', i);
    const fault = ipBlockFault(address);
    if (fault !== null) findings.push(error(at, `addresses: ${fault}`));
    else if (address.includes('/') && resolution !== 'NONE' && resolution !== 'STATIC') {
      const message = 'blocks of addresses go with the resolutions NONE and STATIC only';
      findings.push(error(at, message, 'write single addresses'));
    }
  }
  return findings;
}

function portFindings({ hosts, addresses, ports, resolution }: ServiceEntrySpec): Finding[] {
  const findings: Finding[] = [];
  const names = new Set<string>();
  const numbers = new Set<number>();
  for (const [i, { name, number, protocol, targetPort }] of ports.entries()) {
    const at = joinIndex('spec.ports', i);
    if (names.has(name)) findings.push(error(`${at}.name`, `there are two ports "${name}"`));
    if (numbers.has(number)) findings.push(error(`${at}.number`, `port ${number} is there twice`));
    names.add(name);
    numbers.add(number);
    if (!isDnsLabel(name)) {
      const message = name === '' ? 'a port needs a name' : `"${name}" is no name of a port`;
      findings.push(error(`${at}.name`, message, 'write http, or another word'));
    }
    if (number === 0) findings.push(error(`${at}.number`, 'a port is a number from 1 to 65535'));
    if (!isProtocol(protocol)) {
      const mend = 'write HTTP, HTTPS, HTTP2, GRPC, MONGO, TCP or TLS';
      findings.push(error(`${at}.protocol`, `"${protocol}" is no known protocol`, mend));
    }
    if (targetPort !== undefined && resolution === 'NONE') {
      const message =
        'with the resolution NONE calls go where they were going: targetPort is ignored';
      const code = 'service-entry-target-port';
      findings.push({ severity: 'warning', code, path: `${at}.targetPort`, message });
    }
  }
  const opaque = ports.findIndex(({ protocol }) => /^(tcp|mongo|mysql|redis)?$/i.test(protocol));
  if (hosts.length > 1 && addresses.length === 0 && opaque !== -1) {
    const message =
      'several hosts without addresses cannot be told apart on a port that is not HTTP or TLS';
    const path = joinIndex('spec.ports', opaque);
    const mend =
      resolution === 'NONE'
        ? 'write an entry for each host, with addresses'
        : 'write an entry for each host, with addresses, or give callers selvage.dev/dns-capture: "true"';
    findings.push({ severity: 'warning', code: 'service-entry-hosts', path, message, mend });
  }
  return findings;
}

function resolutionFindings(spec: ServiceEntrySpec): Finding[] {
  const { hosts, endpoints, resolution, workloadSelector, ports } = spec;
  switch (resolution) {
    case 'NONE':
      if (endpoints.length === 0) return [];
      return [
        error(
          'spec.endpoints',
          'with the resolution NONE there are no endpoints',
          'write STATIC or DNS',
        ),
      ];
    case 'STATIC':
      return staticFindings(spec);
    case 'DNS':
    case 'DNS_ROUND_ROBIN':
      return dnsFindings(spec);
    case 'DYNAMIC_DNS': {
      const findings = hosts.flatMap((host, i) =>
        host.startsWith('*.')
          ? []
          : [
              error(
                joinIndex('spec.hosts', i),
                'DYNAMIC_DNS is for wildcards',
                'write resolution: DNS',
              ),
            ],
      );
      if (endpoints.length > 0 || workloadSelector !== undefined) {
        const at = endpoints.length > 0 ? 'spec.endpoints' : 'spec.workloadSelector';
        findings.push(error(at, 'with DYNAMIC_DNS there are no endpoints', 'remove them'));
      }
      for (const [i, { protocol }] of ports.entries()) {
        if (/^(http|http2|grpc|grpc-web|https|tls)$/i.test(protocol)) continue;
        const message = 'DYNAMIC_DNS needs a protocol that names its host: HTTP or TLS';
        findings.push(error(`${joinIndex('spec.ports', i)}.protocol`, message));
      }
      return findings;
    }
    default:
      return [];
  }
}

function staticFindings({ endpoints, ports }: ServiceEntrySpec): Finding[] {
  const sockets = endpoints.filter(({ address }) => address.startsWith(unixPrefix));
  const findings = endpoints.flatMap(({ address }, i): Finding[] => {
    if (address.startsWith(unixPrefix) || isIp(address)) return [];
    const at = `${joinIndex('spec.endpoints', i)}.address`;
    return [error(at, `"${address}" is no IP address`, 'write one, or resolution: DNS')];
  });
  if (sockets.length > 0 && ports.length !== 1) {
    findings.push(error('spec.ports', 'sockets of files need exactly one port'));
  }
  return findings;
}

function dnsFindings({
  hosts,
  endpoints,
  resolution,
  workloadSelector,
}: ServiceEntrySpec): Finding[] {
  const findings: Finding[] = [];
  if (endpoints.length === 0 && workloadSelector === undefined) {
    for (const [i, host] of hosts.entries()) {
      if (nameFault(host) === null) continue;
      const message = `"${host}" cannot be looked up in DNS`;
      findings.push(
        error(joinIndex('spec.hosts', i), message, 'add endpoints, or write DYNAMIC_DNS'),
      );
    }
  }
  if (resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1) {
    findings.push(error('spec.endpoints', 'DNS_ROUND_ROBIN has one endpoint at most', 'write DNS'));
  }
  for (const [i, { address }] of endpoints.entries()) {
    const fault = hostFault(address);
    const at = `${joinIndex('spec.endpoints', i)}.address`;
    if (fault !== null) findings.push(error(at, `address: ${fault}`));
  }
  return findings;
}

function error(path: string, message: string, mend?: string): Finding {
  const finding = { severity: 'error', code: 'service-entry-invalid', path, message } as const;
  return mend === undefined ? finding : { ...finding, mend };
}
