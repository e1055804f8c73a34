// TrafficPolicy: what Istio's webhook refuses of it, and what it warns of.
import type {
  ClientTlsSpec,
  ConnectionPoolSpec,
  OutlierDetectionSpec,
  PortTrafficPolicySpec,
  TrafficPolicySpec,
} from '../kinds/traffic-policy.ts';
import { type Finding, joinIndex } from '../origin.ts';
import { type Add, adder } from './adder.ts';
import { hostFault } from './domain-names.ts';
import { durationFault } from './durations.ts';
import { balancerFindings } from './load-balancer.ts';

const code = 'traffic-policy-invalid';

export function policyFindings(policy: TrafficPolicySpec | undefined, at: string): Finding[] {
  if (policy === undefined) return [];
  const findings: Finding[] = [];
  const add = adder(findings, 'error', code);
  const { portLevelSettings, tunnel, proxyProtocol, retryBudget } = policy;
  const said = [...partsOf(policy), tunnel, proxyProtocol, retryBudget];
  if (said.every((part) => part === undefined) && portLevelSettings.length === 0) {
    add(
      at,
      'a trafficPolicy must say something',
      'remove it, or add loadBalancer or another field',
    );
  }
  findings.push(...partFindings(policy, at));
  for (const [i, one] of portLevelSettings.entries()) {
    const path = joinIndex(`${at}.portLevelSettings`, i);
    if (one.port === undefined)
      add(path, 'portLevelSettings need a port', 'add port: {number: 80}');
    if (partsOf(one).every((part) => part === undefined)) {
      add(path, 'portLevelSettings must say something', 'add loadBalancer or another field');
    }
    findings.push(...partFindings(one, path));
  }
  if (tunnel !== undefined) {
    if (proxyProtocol !== undefined) {
      add(`${at}.tunnel`, 'only one of tunnel and proxyProtocol may be set', 'remove one');
    }
    if (!['', 'CONNECT', 'POST'].includes(tunnel.protocol)) {
      add(`${at}.tunnel.protocol`, `"${tunnel.protocol}" is no way to a tunnel`, 'write CONNECT');
    }
    const fault = hostFault(tunnel.targetHost);
    if (fault !== null) add(`${at}.tunnel.targetHost`, `targetHost: ${fault}`);
    if (tunnel.targetPort === 0) add(`${at}.tunnel.targetPort`, 'targetPort is missing');
  }
  durations(add, `${at}.retryBudget`, { budgetInterval: retryBudget?.budgetInterval });
  return findings;
}

function durations(
  add: Add,
  at: string,
  texts: Readonly<Record<string, string | undefined>>,
  mayBeZero = false,
): void {
  for (const [name, text] of Object.entries(texts)) {
    const fault = durationFault(text, mayBeZero);
    if (fault !== null) add(`${at}.${name}`, `${name}: ${fault}`);
  }
}

function partsOf(policy: TrafficPolicySpec | PortTrafficPolicySpec): unknown[] {
  const { loadBalancer, connectionPool, outlierDetection, tls } = policy;
  return [loadBalancer, connectionPool, outlierDetection, tls];
}

function partFindings(policy: TrafficPolicySpec | PortTrafficPolicySpec, at: string): Finding[] {
  const { loadBalancer, connectionPool, outlierDetection, tls } = policy;
  return [
    ...balancerFindings(loadBalancer, outlierDetection !== undefined, `${at}.loadBalancer`),
    ...poolFindings(connectionPool, `${at}.connectionPool`),
    ...outlierFindings(outlierDetection, `${at}.outlierDetection`),
    ...tlsFindings(tls, `${at}.tls`),
  ];
}

export function poolFindings(pool: ConnectionPoolSpec | undefined, at: string): Finding[] {
  const findings: Finding[] = [];
  const add = adder(findings, 'error', code);
  if (pool === undefined) return findings;
  const { tcp, http } = pool;
  if (tcp === undefined && http === undefined) add(at, 'a connectionPool needs tcp or http');
  if (http !== undefined) {
    const { h2UpgradePolicy, useClientProtocol, idleTimeout, http2KeepAlive, ...numbers } = http;
    notNegative(add, `${at}.http`, numbers);
    durations(add, `${at}.http`, { idleTimeout });
    const { interval, timeout } = http2KeepAlive ?? {};
    durations(add, `${at}.http.http2KeepAlive`, { interval, timeout });
    if (h2UpgradePolicy === 'UPGRADE' && useClientProtocol) {
      const message = 'UPGRADE and useClientProtocol contradict each other';
      add(`${at}.http.useClientProtocol`, message, 'keep one of them');
    }
  }
  if (tcp !== undefined) {
    const { connectTimeout, maxConnectionDuration, idleTimeout, tcpKeepalive } = tcp;
    notNegative(add, `${at}.tcp`, { maxConnections: tcp.maxConnections });
    durations(add, `${at}.tcp`, { connectTimeout, maxConnectionDuration });
    durations(add, `${at}.tcp`, { idleTimeout }, true);
    const { time, interval } = tcpKeepalive ?? {};
    durations(add, `${at}.tcp.tcpKeepalive`, { time, interval });
  }
  return findings;
}

function notNegative(add: Add, at: string, numbers: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    if (value < 0) add(`${at}.${name}`, `${name} may not be negative`);
  }
}

function outlierFindings(outlier: OutlierDetectionSpec | undefined, at: string): Finding[] {
  const findings: Finding[] = [];
  if (outlier === undefined) return findings;
  const add = adder(findings, 'error', code);
  const { interval, baseEjectionTime, maxEjectionPercent, minHealthPercent } = outlier;
  durations(add, at, { interval, baseEjectionTime });
  for (const [name, value] of Object.entries({ maxEjectionPercent, minHealthPercent })) {
    if (value < 0 || value > 100) add(`${at}.${name}`, `${name} is a percentage from 0 to 100`);
  }
  const { consecutiveLocalOriginFailures = 0, splitExternalLocalOriginErrors: split } = outlier;
  if (consecutiveLocalOriginFailures > 0 && !split) {
    const message = 'consecutiveLocalOriginFailures count nothing while they are not counted apart';
    const mend = 'add splitExternalLocalOriginErrors: true';
    add(`${at}.consecutiveLocalOriginFailures`, message, mend);
  }
  if (outlier.consecutiveErrors !== 0) {
    const message = 'consecutiveErrors is deprecated and ignored';
    const mend = 'write consecutive5xxErrors or consecutiveGatewayErrors';
    adder(findings, 'warning', code)(`${at}.consecutiveErrors`, message, mend);
  }
  return findings;
}

function tlsFindings(tls: ClientTlsSpec | undefined, at: string): Finding[] {
  const findings: Finding[] = [];
  if (tls === undefined) return findings;
  const add = adder(findings, 'error', code);
  const { mode, insecureSkipVerify = false, caCertificates, credentialName } = tls;
  const files = [tls.clientCertificate, tls.privateKey, caCertificates, tls.caCrl];
  const pinned =
    caCertificates !== '' ||
    tls.subjectAltNames !== undefined ||
    (mode === 'SIMPLE' && credentialName !== '');
  if (insecureSkipVerify && (mode === 'SIMPLE' || mode === 'MUTUAL') && pinned) {
    const message = 'with insecureSkipVerify nothing of the certificate is looked at';
    add(`${at}.insecureSkipVerify`, message, 'remove it, or what verifies: CA, names, credential');
  }
  if ((mode === 'SIMPLE' || mode === 'MUTUAL') && credentialName !== '') {
    if (files.some((file) => file !== '')) {
      const message = 'a credentialName stands in place of files, and not beside them';
      add(`${at}.credentialName`, message, 'remove it, or the files');
    }
    return findings;
  }
  if (mode !== 'MUTUAL') return findings;
  for (const name of ['clientCertificate', 'privateKey'] as const) {
    if (tls[name] === '') add(`${at}.${name}`, `MUTUAL needs a ${name}`, 'name its file');
  }
  return findings;
}
