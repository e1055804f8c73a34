// PeerAuthentication: what Istio's validating webhook refuses beyond the shape.
import type { PeerAuthenticationSpec } from '../kinds/peer-authentication.ts';
import { type Finding, joinKey } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { attachmentFindings } from './attachment.ts';

export function validatePeerAuthentication(
  policy: Resource<string, PeerAuthenticationSpec>,
): Finding[] {
  const { selector, portLevelMtls } = policy.spec;
  const findings = attachmentFindings({ selector });
  if (portLevelMtls === undefined) return findings;
  const ports = Object.keys(portLevelMtls);
  const selects = Object.keys(selector?.matchLabels ?? {}).length > 0;
  if (!selects && ports.length > 0) {
    findings.push({
      severity: 'error',
      code: 'port-level-without-selector',
      path: 'spec.portLevelMtls',
      message: 'portLevelMtls needs a selector: ports are those of one workload',
      mend: 'add selector.matchLabels, or remove portLevelMtls',
    });
  }
  for (const port of ports) {
    if (/^\d{1,5}$/.test(port) && Number(port) > 0 && Number(port) <= 65_535) continue;
    findings.push({
      severity: 'error',
      code: 'value-invalid',
      path: joinKey('spec.portLevelMtls', port),
      message: `portLevelMtls: "${port}" is no port number from 1 to 65535`,
      mend: "write the number of the workload's own port, not its name",
    });
  }
  return findings;
}
