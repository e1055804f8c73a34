// Explicit capture, where nobody may write iptables: the application is told of the proxy by its environment, and callers
// of the mesh come by ports of the sidecar's.
import type { ContainerManifest } from './manifest.ts';
import { ports } from './names.ts';

const proxy = `http://127.0.0.1:${ports.outbound}`;
const own = 'localhost,127.0.0.1,::1';

/** The same as a local mesh gives its programs. */
const proxyVariables = [
  { name: 'HTTP_PROXY', value: proxy },
  { name: 'http_proxy', value: proxy },
  { name: 'HTTPS_PROXY', value: proxy },
  { name: 'https_proxy', value: proxy },
  { name: 'NO_PROXY', value: own },
  { name: 'no_proxy', value: own },
  // Node's own fetch and http honour the proxy only when told to.
  { name: 'NODE_USE_ENV_PROXY', value: '1' },
];

const firstListenPort = 15_100;

/** First, so that the container's own variables may build on them; what it sets itself stays. */
export function withProxyVariables(container: ContainerManifest): ContainerManifest {
  const env = container.env ?? [];
  // Programs differ in which of the two spellings wins: one that is set stands for both.
  const set = new Set(env.map(({ name }) => name.toUpperCase()));
  const missing = proxyVariables.filter(({ name }) => !set.has(name.toUpperCase()));
  return missing.length === 0 ? container : { ...container, env: [...missing, ...env] };
}

/** The port of the sidecar for each TCP port that the containers declare. */
export function localPorts(containers: readonly ContainerManifest[]): Map<number, number> {
  const declared = containers
    .flatMap((container) => container.ports ?? [])
    .filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP')
    .map(({ containerPort }) => containerPort)
    .filter((port) => port >= 1 && port <= 65_535);
  const taken = new Set(declared);
  const mapped = new Map<number, number>();
  let next = firstListenPort;
  for (const port of taken) {
    while (taken.has(next)) next++;
    mapped.set(port, next++);
  }
  return mapped;
}

/** As SELVAGE_INBOUND takes them. */
export function inboundMappings(mapped: ReadonlyMap<number, number>): string {
  return [...mapped].map(([port, listen]) => `:${listen}=${port}>127.0.0.1:${port}`).join(',');
}
