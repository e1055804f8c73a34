// What a Sidecar says of a port, and how faults of a Sidecar are said.
import type { Finding } from '../origin.ts';
import { isDnsLabel } from './domain-names.ts';
import { isProtocol } from './values.ts';

export function nameFindings(
  port: { readonly name: string; readonly protocol: string; readonly targetPort: number },
  at: string,
): Finding[] {
  const findings: Finding[] = [];
  const { name, protocol, targetPort } = port;
  if (targetPort > 0)
    findings.push(sidecarError(`${at}.targetPort`, 'targetPort has no effect here'));
  if (name !== '' && !isDnsLabel(name)) {
    findings.push(sidecarError(`${at}.name`, `"${name}" is no name of a port`));
  }
  if (!isProtocol(protocol)) {
    findings.push(sidecarError(`${at}.protocol`, `"${protocol}" is no known protocol`));
  }
  return findings;
}

export function sidecarError(path: string, message: string, mend?: string): Finding {
  const finding = { severity: 'error', code: 'sidecar-invalid', path, message } as const;
  return mend === undefined ? finding : { ...finding, mend };
}

export function sidecarWarning(path: string, message: string): Finding {
  return { severity: 'warning', code: 'sidecar-not-carried-out', path, message };
}
