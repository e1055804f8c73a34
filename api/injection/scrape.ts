// Where Prometheus scrapes a pod: the sidecar, whose page has the application's own metrics as well.
import type { ContainerManifest } from './manifest.ts';
import { ports } from './names.ts';

export interface Scrape {
  /** To write over the pod's. */
  readonly annotations: Readonly<Record<string, string>>;
  /** The application's own page, from within the pod; '' where it has none. */
  readonly application: string;
}

const names = ['scrape', 'port', 'path', 'scheme'] as const;
const path = '/stats/prometheus';

/** A pod that says scrape: "false" is left alone. */
export function scrapeOf(
  annotations: Readonly<Record<string, string>>,
  containers: readonly ContainerManifest[],
): Scrape {
  const [scrape, port, ownPath, scheme] = names.map((name) => annotations[`prometheus.io/${name}`]);
  if (scrape === 'false') return { annotations: {}, application: '' };
  const written = {
    'prometheus.io/scrape': 'true',
    'prometheus.io/port': String(ports.metrics),
    'prometheus.io/path': path,
    // The sidecar's page is plain HTTP, whatever the application's is.
    ...(scheme === undefined ? {} : { 'prometheus.io/scheme': 'http' }),
  };
  if (scrape !== 'true' || port === String(ports.metrics)) {
    return { annotations: written, application: '' };
  }
  const declared = containers
    .flatMap((container) => container.ports ?? [])
    .find(({ protocol }) => (protocol ?? 'TCP') === 'TCP');
  const own = port ?? String(declared?.containerPort ?? 80);
  const url = URL.parse(ownPath ?? '/metrics', `${scheme ?? 'http'}://127.0.0.1:${own}`);
  return { annotations: written, application: url?.hostname === '127.0.0.1' ? url.href : '' };
}
