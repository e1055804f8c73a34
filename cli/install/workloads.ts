// Deployment, Service, PodDisruptionBudget and NetworkPolicy of each part.
import { proxyUid } from '#api/injection/names.ts';

import { inSystem, type Manifest, ownLabels, selectorOf } from './labels.ts';
import type { InstallOptions } from './options.ts';
import { identityMounts, identityVolumes, type Part } from './parts.ts';

const healthPort = 15021;
/** Whole as the API server keeps it: `kubectl apply` and `selvage install` then want the same. */
const podName = { apiVersion: 'v1', fieldPath: 'metadata.name' };

/** As Prometheus' customary configuration for pods reads them. */
const scraped = {
  'prometheus.io/scrape': 'true',
  'prometheus.io/port': String(healthPort),
  'prometheus.io/path': '/metrics',
};

export function workloadObjects(part: Part, options: InstallOptions): Manifest[] {
  const { name, port, portName, servicePort } = part;
  const selector = { matchLabels: selectorOf(name) };
  const open = [port, healthPort].map((number) => ({ port: number, protocol: 'TCP' }));
  return [
    inSystem('v1', 'Service', name, {
      spec: {
        selector: selectorOf(name),
        ports: [{ name: portName, port: servicePort, targetPort: portName, protocol: 'TCP' }],
      },
    }),
    inSystem('apps/v1', 'Deployment', name, {
      spec: {
        replicas: options.replicas,
        selector,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
        template: {
          metadata: { labels: { ...ownLabels, ...selectorOf(name) }, annotations: scraped },
          spec: podSpec(part, options),
        },
      },
    }),
    // One may always go: a drain of nodes must end, also where only one runs.
    inSystem('policy/v1', 'PodDisruptionBudget', name, { spec: { maxUnavailable: 1, selector } }),
    // From everywhere: sidecars are in every namespace, and the API server and kubelets are no pods.
    inSystem('networking.k8s.io/v1', 'NetworkPolicy', name, {
      spec: { podSelector: selector, policyTypes: ['Ingress'], ingress: [{ ports: open }] },
    }),
  ];
}

function podSpec(part: Part, options: InstallOptions): object {
  const { name, workload } = part;
  return {
    serviceAccountName: name,
    terminationGracePeriodSeconds: 30,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: proxyUid,
      runAsGroup: proxyUid,
      fsGroup: proxyUid,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          {
            weight: 100,
            podAffinityTerm: {
              labelSelector: { matchLabels: selectorOf(name) },
              topologyKey: 'kubernetes.io/hostname',
            },
          },
        ],
      },
    },
    containers: [containerOf(part, options)],
    ...(workload && { volumes: identityVolumes }),
  };
}

function containerOf(part: Part, options: InstallOptions): object {
  const { image, imagePullPolicy, resources, trustDomain } = options;
  const { name, program, port, portName, workload, configMap } = part;
  // The others learn it from their own certificates.
  const environment =
    part.part === 'ca' ? { ...part.env, SELVAGE_TRUST_DOMAIN: trustDomain } : part.env;
  return {
    name,
    image,
    imagePullPolicy,
    command: ['node', program],
    env: [
      { name: 'SELVAGE_POD', valueFrom: { fieldRef: podName } },
      ...Object.entries(environment).map(([key, value]) => ({ name: key, value })),
    ],
    ...(configMap !== undefined && { envFrom: [{ configMapRef: { name: configMap } }] }),
    ports: [
      { name: portName, containerPort: port, protocol: 'TCP' },
      { name: 'health', containerPort: healthPort, protocol: 'TCP' },
    ],
    readinessProbe: {
      httpGet: { path: '/healthz/ready', port: 'health' },
      periodSeconds: 2,
      timeoutSeconds: 3,
    },
    // Generous: a process that is busy is no dead one, and all sidecars would feel its restart.
    livenessProbe: {
      httpGet: { path: '/healthz/live', port: 'health' },
      initialDelaySeconds: 10,
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    resources: resources[part.part],
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    ...(workload && { volumeMounts: identityMounts }),
  };
}
