// What Selvage's sidecars are told of the benchmark's mesh: the ten rules, and where the server is.
import type { PolicyResource, Service, Snapshot } from '#api/snapshot.ts';
import type { PortProtocol } from '#api/workload.ts';

import { rules, trustedIdentities, workloadPort } from './world.ts';

const meta = { namespace: 'bench', labels: {}, annotations: {} };

/** @param server port of the endpoint that `server.bench` leads to; 0: none */
export function snapshotOf(
  workload: 'client' | 'server',
  server: number,
  protocol: PortProtocol,
): Snapshot {
  return {
    version: 1,
    mesh: {
      trustDomain: 'cluster.local',
      trustDomainAliases: [],
      rootNamespace: 'istio-system',
      pathNormalization: { normalization: 'DEFAULT' },
      extensionProviders: [],
      accessLogFile: '',
      accessLogEncoding: 'TEXT',
    },
    workload: {
      namespace: 'bench',
      name: workload,
      labels: { app: workload },
      serviceAccount: workload,
      ports: [{ port: workloadPort, name: protocol, protocol }],
    },
    policies: workload === 'client' ? [] : policies(protocol),
    services: server === 0 ? [] : [service(server, protocol)],
  };
}

/** On a port of bytes no rule of methods and paths can be met, so there it is principals alone. */
function policies(protocol: PortProtocol): PolicyResource[] {
  return [
    {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { ...meta, name: 'strict' },
      spec: { mtls: { mode: 'STRICT' } },
    },
    ...rules.map(({ name, principal, methods, path }) => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy' as const,
      metadata: { ...meta, name },
      spec: {
        action: 'ALLOW' as const,
        rules: [
          {
            from: [{ source: { principals: [principal] } }],
            ...(protocol !== 'tcp' && { to: [{ operation: { methods, paths: [`${path}*`] } }] }),
          },
        ],
      },
    })),
  ];
}

function service(port: number, protocol: PortProtocol): Service {
  const endpoint = {
    address: '127.0.0.1',
    port,
    identity: trustedIdentities.server,
    workload: 'server',
    namespace: 'bench',
    labels: {},
  };
  return {
    name: 'server',
    namespace: 'bench',
    hosts: ['server.bench.svc.cluster.local', 'server.bench.svc', 'server.bench'],
    addresses: [],
    ports: [{ port: workloadPort, name: protocol, protocol, endpoints: [endpoint] }],
  };
}
