// WorkloadEntry, by itself or as an endpoint of a ServiceEntry: what Istio's webhook refuses.
import type { WorkloadEntrySpec } from '../kinds/workload-entry.ts';
import { type Finding, joinKey } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { hostFault } from './domain-names.ts';
import { labelFindings } from './labels.ts';

export const unixPrefix = 'unix://';

export function validateWorkloadEntry(entry: Resource<string, WorkloadEntrySpec>): Finding[] {
  const { spec } = entry;
  const findings = endpointFindings(spec, 'spec');
  if (spec.address === '') {
    // Istio lets one of another network be reached by its gateway; there are none here.
    findings.push(error('spec.address', 'a workload needs an address', 'write an IP address'));
  } else if (!spec.address.startsWith(unixPrefix)) {
    const fault = hostFault(spec.address);
    if (fault !== null) findings.push(error('spec.address', `address: ${fault}`));
  }
  return findings;
}

/** All but the address, which the resolution of a ServiceEntry has a say in. */
export function endpointFindings(spec: WorkloadEntrySpec, at: string): Finding[] {
  const { address, ports = {}, labels, locality = '' } = spec;
  const findings = labelFindings(labels, `${at}.labels`);
  const entries = Object.entries(ports);
  if (address.startsWith(unixPrefix)) {
    const path = address.slice(unixPrefix.length);
    if (!path.startsWith('/') && !path.startsWith('@')) {
      findings.push(error(`${at}.address`, `"${path}" is no absolute path of a socket`));
    }
    if (entries.length > 0) {
      findings.push(error(`${at}.ports`, 'a socket of a file has no ports', 'remove them'));
    }
  }
  for (const [name, port] of entries) {
    if (port > 0) continue;
    findings.push(error(joinKey(`${at}.ports`, name), 'a port is a number from 1 to 65535'));
  }
  if (locality !== '' && locality.split('/').length > 3) {
    const message = `"${locality}" is no region/zone/subzone`;
    findings.push(error(`${at}.locality`, message));
  }
  return findings;
}

function error(path: string, message: string, mend?: string): Finding {
  const finding = { severity: 'error', code: 'workload-entry-invalid', path, message } as const;
  return mend === undefined ? finding : { ...finding, mend };
}
