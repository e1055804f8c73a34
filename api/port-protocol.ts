// What a Service says a port speaks: appProtocol, then the prefix of its name, as Istio reads them.
import type { PortProtocol } from './workload.ts';

const protocols: Readonly<Record<string, PortProtocol>> = {
  http: 'http',
  http_proxy: 'http',
  http2: 'http2',
  grpc: 'grpc',
  // gRPC-Web is carried by plain HTTP requests.
  'grpc-web': 'http',
  https: 'tls',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  redis: 'tcp',
};
/** Kubernetes' own values of appProtocol. */
const appProtocols: Readonly<Record<string, PortProtocol>> = {
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'tls',
};
/** Servers that speak first there: nobody could tell them by the client's first bytes. */
const tcpPorts = new Set([25, 53, 3306, 27017]);

export interface DeclaredPort {
  readonly name: string;
  readonly port: number;
  readonly appProtocol?: string;
}

/** `detect` where nothing is declared. Case does not matter. */
export function protocolOf(declared: DeclaredPort): PortProtocol {
  const { appProtocol = '', name, port } = declared;
  const word = (appProtocol === '' ? name : appProtocol).toLowerCase();
  if (Object.hasOwn(appProtocols, word)) return appProtocols[word] ?? 'detect';
  const prefix = word.startsWith('grpc-web') ? 'grpc-web' : (word.split('-', 1)[0] ?? '');
  if (Object.hasOwn(protocols, prefix)) return protocols[prefix] ?? 'detect';
  return tcpPorts.has(port) ? 'tcp' : 'detect';
}
