// HealthCheck: its host, one way to ask, times and statuses that mean something.
import type { HealthCheckSpec } from '../kinds/health-check.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { hostFault, wildcardNameFault } from './domain-names.ts';
import { durationFault } from './durations.ts';

export function validateHealthCheck({ spec }: Resource<string, HealthCheckSpec>): Finding[] {
  const findings: Finding[] = [];
  const add = (path: string, message: string, mend?: string): void => {
    const finding = { severity: 'error', code: 'health-check-invalid', path, message } as const;
    findings.push(mend === undefined ? finding : { ...finding, mend });
  };
  const { http, tcp, grpc } = spec;
  const host = wildcardNameFault(spec.host);
  if (host !== null) add('spec.host', `host: ${host}`, 'name a Service, or write a whole host');
  const ways = [http, tcp, grpc].filter((way) => way !== undefined).length;
  if (ways !== 1) add('spec', 'a HealthCheck has one of http, tcp and grpc', 'write one of them');
  for (const name of ['interval', 'timeout'] as const) {
    const fault = durationFault(spec[name]);
    if (fault !== null) add(`spec.${name}`, `${name}: ${fault}`);
  }
  for (const name of ['healthyThreshold', 'unhealthyThreshold'] as const) {
    if (spec[name] < 1) add(`spec.${name}`, `${name} is at least 1`);
  }
  if (http === undefined) return findings;
  if (!http.path.startsWith('/') || /[\s#]/.test(http.path)) {
    add('spec.http.path', `"${http.path}" is no path`, 'write it as /healthz');
  }
  const [name = '', port = '1'] = http.host.split(/:(?=\d+$)/);
  if (http.host !== '' && (hostFault(name) !== null || Number(port) > 65_535)) {
    add('spec.http.host', `"${http.host}" is no host`);
  }
  for (const [i, status] of http.expectedStatuses.entries()) {
    if (statusesOf(status) !== null) continue;
    const message = `"${status}" is no status and no range of statuses`;
    add(joinIndex('spec.http.expectedStatuses', i), message, 'write 200 or "200-299"');
  }
  return findings;
}

/** `204` or `"200-299"`, both ends with; null when it is neither. */
export function statusesOf(written: number | string): readonly [from: number, to: number] | null {
  const [, from = '', to = from] = /^(\d{3})(?:-(\d{3}))?$/.exec(String(written)) ?? [];
  const range = [Number(from), Number(to)] as const;
  return from !== '' && range[0] >= 100 && range[0] <= range[1] && range[1] <= 599 ? range : null;
}
