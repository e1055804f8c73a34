// The alerts and dashboards of the monitoring overlay, as tests look at them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'yaml';

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity?: string };
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly {
    readonly title: string;
    readonly description: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number };
    readonly targets: readonly { readonly expr: string }[];
  }[];
}

/** One query of a panel. */
export interface PanelQuery {
  /** `Selvage: mesh / Requests`. */
  readonly panel: string;
  readonly expr: string;
}

const overlay = join(import.meta.dirname, '../../manifests/overlays/monitoring');

export function overlayFile(name: string): string {
  return readFileSync(join(overlay, name), 'utf8');
}

export const alerts: readonly Alert[] = (
  parse(overlayFile('alerts.yml')) as { groups: { rules: Alert[] }[] }
).groups.flatMap(({ rules }) => rules);

export const dashboards: readonly Dashboard[] = readdirSync(overlay)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(overlayFile(name)) as Dashboard);

export const panels: readonly PanelQuery[] = dashboards.flatMap(({ title, panels: own }) =>
  own.flatMap((panel) =>
    panel.targets.map(({ expr }) => ({ panel: `${title} / ${panel.title}`, expr })),
  ),
);

/** Grafana puts these in; here: all, or what is told. */
export function withoutVariables(expr: string, variables: Record<string, string> = {}): string {
  return expr
    .replaceAll('$__rate_interval', variables['interval'] ?? '1m')
    .replaceAll('$namespace', variables['namespace'] ?? '.*')
    .replaceAll('$workload', variables['workload'] ?? '.*');
}
