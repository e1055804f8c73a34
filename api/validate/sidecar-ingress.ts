// The ingress of a Sidecar: valid as for Istio, and what of it is not carried out.
import type { SidecarIngress } from '../kinds/sidecar.ts';
import { type Finding, joinIndex } from '../origin.ts';
import { nameFindings, sidecarError, sidecarWarning } from './sidecar-ports.ts';
import { poolFindings } from './traffic-policy.ts';
import { isIp } from './values.ts';
import { unixPrefix } from './workload-entry.ts';

const localAddresses = ['', '127.0.0.1', '0.0.0.0', '::1', '::'];

export function ingressFindings(ingress: readonly SidecarIngress[]): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<number>();
  for (const [i, listener] of ingress.entries()) {
    const at = joinIndex('spec.ingress', i);
    const { port, bind, captureMode, defaultEndpoint, connectionPool } = listener;
    const add = (path: string, message: string, mend?: string): void => {
      findings.push(sidecarError(path, message, mend));
    };
    if (port === undefined) {
      add(at, 'an ingress needs a port', 'add port: {number: 8080, protocol: HTTP, name: http}');
      continue;
    }
    findings.push(...nameFindings(port, `${at}.port`));
    if (port.number === 0) add(`${at}.port.number`, 'a port is a number from 1 to 65535');
    if (seen.has(port.number)) add(`${at}.port`, `two listeners are for port ${port.number}`);
    seen.add(port.number);
    if (bind !== '' && !isIp(bind)) add(`${at}.bind`, `"${bind}" is no IP address`);
    const fault = endpointFault(defaultEndpoint);
    if (fault !== null) {
      add(`${at}.defaultEndpoint`, fault, 'write 127.0.0.1:8080, 0.0.0.0:8080 or unix:///path');
    }
    findings.push(...tlsFindings(listener, `${at}.tls`));
    findings.push(...poolFindings(connectionPool, `${at}.connectionPool`));
    if (bind !== '' || captureMode === 'NONE') {
      const message =
        'listeners of its own are not opened: calls to this port come as all others of the pod do';
      findings.push(sidecarWarning(at, message));
    }
    if (listener.tls !== undefined) {
      const message = 'TLS of its own is not terminated: the application gets it as it comes';
      findings.push(sidecarWarning(`${at}.tls`, message));
    }
  }
  return findings;
}

function endpointFault(endpoint: string): string | null {
  if (endpoint === '') return null;
  if (endpoint.startsWith(unixPrefix)) {
    const path = endpoint.slice(unixPrefix.length);
    return /^[/@]./.test(path) ? null : `"${path}" is no absolute path of a socket`;
  }
  const [, six, four, port = ''] = /^(?:\[(.*)\]|([^:]*)):(\d+)$/.exec(endpoint) ?? [];
  const address = six ?? four;
  if (address === undefined || !localAddresses.includes(address)) {
    return `"${endpoint}" is no endpoint of the same pod`;
  }
  const number = Number(port);
  return number >= 1 && number <= 65_535 ? null : `${port} is no port from 1 to 65535`;
}

function tlsFindings({ tls, port }: SidecarIngress, at: string): Finding[] {
  if (tls === undefined) return [];
  const findings: Finding[] = [];
  const add = (path: string, message: string): void => {
    findings.push(sidecarError(path, message));
  };
  if (tls.subjectAltNames.length > 0) add(`${at}.subjectAltNames`, 'not supported for ingress');
  if (tls.httpsRedirect) add(`${at}.httpsRedirect`, 'not supported for ingress');
  if (tls.credentialName !== '') add(`${at}.credentialName`, 'not supported for ingress');
  if (tls.mode === 'ISTIO_MUTUAL' || tls.mode === 'AUTO_PASSTHROUGH') {
    add(`${at}.mode`, `${tls.mode} is no mode of ingress`);
  }
  if (!/^(https|tls)$/i.test(port?.protocol ?? '')) {
    add(at, 'only ports of the protocols HTTPS and TLS have TLS of their own');
  }
  if (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL') return findings;
  if (tls.serverCertificate === '')
    add(`${at}.serverCertificate`, `${tls.mode} needs a certificate`);
  if (tls.privateKey === '') add(`${at}.privateKey`, `${tls.mode} needs a privateKey`);
  if (tls.mode === 'MUTUAL' && tls.caCertificates === '') {
    add(`${at}.caCertificates`, 'MUTUAL needs the roots of clients');
  }
  return findings;
}
