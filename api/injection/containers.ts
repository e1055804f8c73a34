// The containers and volumes that make a sidecar: from settings alone, nothing is decided here.
import { sidecarNodeFlags } from '../node-flags.ts';
import type { InjectionConfig } from './config.ts';
import type { ContainerManifest } from './manifest.ts';
import { dnsPort, folders, initName, ports, proxyName, proxyUid, volumes } from './names.ts';
import type { SidecarOptions } from './options.ts';
import type { AppProbe } from './probes.ts';

export interface SidecarParts {
  readonly config: InjectionConfig;
  readonly options: SidecarOptions;
  readonly workload: string;
  readonly probes: Readonly<Record<string, AppProbe>>;
  /** URL of the application's own metrics; '' where it has none. */
  readonly applicationMetrics: string;
  /** Of explicit mode; '' elsewhere. */
  readonly inboundMappings: string;
}

type EnvironmentEntry = NonNullable<ContainerManifest['env']>[number];

export const probesVariable = 'SELVAGE_APP_PROBES';

/**
 * A native sidecar: it starts before what follows it among the init containers, ends after the application, and a Job
 * does not wait for it.
 */
export function proxyContainer(parts: SidecarParts): ContainerManifest {
  const { config, options } = parts;
  const ready = { path: '/healthz/ready', port: ports.health, scheme: 'HTTP' };
  return {
    name: proxyName,
    image: config.image,
    imagePullPolicy: config.imagePullPolicy,
    command: ['node', ...sidecarNodeFlags, '/app/sidecar/main.js'],
    restartPolicy: 'Always',
    env: proxyEnvironment(parts),
    ports: [{ name: 'selvage-prom', containerPort: ports.prometheus, protocol: 'TCP' }],
    resources: options.resources,
    // What comes after a native sidecar waits for this probe.
    ...(options.holdApplication && {
      startupProbe: { httpGet: ready, periodSeconds: 1, failureThreshold: 600, timeoutSeconds: 3 },
    }),
    readinessProbe: { httpGet: ready, periodSeconds: 15, failureThreshold: 4, timeoutSeconds: 3 },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: proxyUid,
      runAsNonRoot: true,
      runAsUser: proxyUid,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [
      { name: volumes.token, mountPath: folders.token, readOnly: true },
      { name: volumes.trust, mountPath: folders.trust, readOnly: true },
      { name: volumes.state, mountPath: folders.state },
    ],
  };
}

function proxyEnvironment(parts: SidecarParts): EnvironmentEntry[] {
  const { config, options, workload, probes } = parts;
  const transparent = options.capture === 'transparent';
  return [
    field('SELVAGE_NAMESPACE', 'metadata.namespace'),
    text('SELVAGE_WORKLOAD', workload),
    field('SELVAGE_POD', 'metadata.name'),
    // Without it probes are asked on loopback, where alone an application of explicit mode may listen.
    ...(transparent ? [field('SELVAGE_POD_IP', 'status.podIP')] : []),
    field('SELVAGE_SERVICE_ACCOUNT', 'spec.serviceAccountName'),
    text('SELVAGE_CA', config.ca),
    text('SELVAGE_CONTROL', config.control),
    text('SELVAGE_TOKEN_FILE', `${folders.token}/token`),
    text('SELVAGE_TRUST_BUNDLE_FILE', `${folders.trust}/root-cert.pem`),
    text('SELVAGE_STATE_DIR', folders.state),
    text('SELVAGE_CAPTURE', options.capture),
    ...(transparent && options.dnsCapture ? [text('SELVAGE_DNS_PORT', String(dnsPort))] : []),
    ...(transparent ? [] : [text('SELVAGE_OUTBOUND', `127.0.0.1:${ports.outbound}`)]),
    ...(transparent ? [] : [text('SELVAGE_INBOUND', parts.inboundMappings)]),
    text('SELVAGE_ADMIN', `127.0.0.1:${ports.admin}`),
    text('SELVAGE_METRICS', `:${ports.metrics}`),
    text('SELVAGE_HEALTH', `:${ports.health}`),
    text('SELVAGE_PROMETHEUS', `:${ports.prometheus}`),
    text('SELVAGE_CONCURRENCY', String(options.concurrency)),
    text('SELVAGE_LOG_LEVEL', options.logLevel),
    text('SELVAGE_DRAIN_TIMEOUT_MS', String(options.drainTimeoutMs)),
    text('SELVAGE_ACCESS_LOG', '/dev/stdout'),
    text('SELVAGE_ACCESS_LOG_FORMAT', options.accessLogFormat),
    ...optional('SELVAGE_OTLP_ENDPOINT', config.otlpEndpoint),
    ...optional('SELVAGE_TRACE_SAMPLING', config.traceSampling),
    ...optional('SELVAGE_TRACE_DEBUG_IDENTITIES', config.traceDebugIdentities),
    ...optional('SELVAGE_APP_METRICS', parts.applicationMetrics),
    ...(Object.keys(probes).length === 0 ? [] : [probesEntry(probes)]),
  ];
}

export function probesEntry(probes: Readonly<Record<string, AppProbe>>): EnvironmentEntry {
  return text(probesVariable, JSON.stringify(probes));
}

/** Root, since nothing else may write iptables; it ends before anything else of the pod begins. */
export function initContainer({ config, options }: SidecarParts): ContainerManifest {
  const own = [ports.metrics, ports.health, ports.prometheus].join(',');
  const excluded = options.excludeInboundPorts;
  return {
    name: initName,
    image: config.image,
    imagePullPolicy: config.imagePullPolicy,
    command: ['node', '/app/sidecar/capture-init.js'],
    env: [
      text('SELVAGE_INIT_INBOUND_PORT', String(ports.inbound)),
      text('SELVAGE_INIT_OUTBOUND_PORT', String(ports.outbound)),
      ...(options.dnsCapture ? [text('SELVAGE_INIT_DNS_PORT', String(dnsPort))] : []),
      text('SELVAGE_INIT_PROXY_UID', String(proxyUid)),
      text('SELVAGE_INIT_INCLUDE_INBOUND_PORTS', options.includeInboundPorts),
      text('SELVAGE_INIT_EXCLUDE_INBOUND_PORTS', excluded === '' ? own : `${own},${excluded}`),
      text('SELVAGE_INIT_INCLUDE_OUTBOUND_CIDRS', options.includeOutboundCidrs),
      text('SELVAGE_INIT_EXCLUDE_OUTBOUND_CIDRS', options.excludeOutboundCidrs),
      text('SELVAGE_INIT_INCLUDE_OUTBOUND_PORTS', options.includeOutboundPorts),
      text('SELVAGE_INIT_EXCLUDE_OUTBOUND_PORTS', options.excludeOutboundPorts),
    ],
    resources: options.resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsGroup: 0,
      runAsNonRoot: false,
      runAsUser: 0,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    // iptables-legacy locks a file there, and the root file system cannot be written.
    volumeMounts: [{ name: volumes.state, mountPath: '/run', subPath: 'run' }],
  };
}

export function sidecarVolumes(): { readonly name: string; readonly [source: string]: unknown }[] {
  const token = { audience: 'selvage-ca', expirationSeconds: 43_200, path: 'token' };
  return [
    { name: volumes.token, projected: { sources: [{ serviceAccountToken: token }] } },
    // Not optional: the pod waits until the CA has written it into the namespace.
    { name: volumes.trust, configMap: { name: 'selvage-ca-root-cert' } },
    // In memory, since the key of the certificate lies there.
    { name: volumes.state, emptyDir: { medium: 'Memory', sizeLimit: '64Mi' } },
  ];
}

/** Kubernetes expands `$(NAME)` in values; `$$(NAME)` is how it is meant as it stands. */
function text(name: string, value: string): EnvironmentEntry {
  return { name, value: value.replaceAll('$(', '$$$$(') };
}

function optional(name: string, value: string): EnvironmentEntry[] {
  return value === '' ? [] : [text(name, value)];
}

function field(name: string, fieldPath: string): EnvironmentEntry {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}
