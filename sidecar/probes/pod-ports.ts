// The ports that the kubelet and Prometheus call in the clear: metrics, health, and the application's probes.
import { startAdmin, type Admin, type AdminReply, type AdminRoute } from '#runtime/admin.ts';
import type { Log } from '#runtime/log.ts';
import type { Address } from '#runtime/setting-types.ts';

import { MergedPage } from '../scrape/merged-page.ts';
import { askApplication, placeOf } from './ask-application.ts';
import { pageRoute } from '../admin/page-route.ts';
import type { Family } from '../telemetry/families.ts';
import type { AppProbe, PodPorts } from './settings.ts';

export interface PodPortsParts {
  readonly settings: PodPorts & {
    readonly podIp: string;
    readonly capture: 'explicit' | 'transparent';
    readonly appProbes: readonly AppProbe[];
    readonly applicationMetrics: URL | null;
  };
  /** The sidecar's own metrics. */
  readonly families: () => Promise<readonly Family[]>;
  readonly ready: () => AdminReply;
  readonly log: Log;
}

export interface RunningPodPorts {
  readonly ports: readonly number[];
  close(): Promise<void>;
}

/** Rejects when one cannot be listened on. Nothing here changes anything. */
export async function startPodPorts(parts: PodPortsParts): Promise<RunningPodPorts> {
  const { settings, families, ready } = parts;
  const health = get('/healthz/ready', '200 while calls are taken, 503 while it ends', ready);
  const metrics = pageRoute(families);
  const plan: readonly (readonly [Address | null, readonly AdminRoute[]])[] = [
    [settings.metrics, [health, withApplication(parts, metrics), ...probeRoutes(parts)]],
    [settings.health, [health]],
    [settings.prometheus, [metrics]],
  ];
  const running: Admin[] = [];
  for (const [address, routes] of plan) {
    if (address !== null) running.push(await startAdmin({ ...address, routes }));
  }
  return {
    ports: running.map(({ port }) => port),
    close: async () => void (await Promise.all(running.map((one) => one.close()))),
  };
}

/** The one port that pods are scraped at; the other keeps to the sidecar. */
function withApplication({ settings, families, log }: PodPortsParts, own: AdminRoute): AdminRoute {
  const application = settings.applicationMetrics;
  if (application === null) return own;
  const page = new MergedPage({ own: families, application, log });
  const doc = "metrics, and the application's own after them";
  return { ...own, doc, handler: (_query, _body, headers) => page.scrape(headers) };
}

function probeRoutes({ settings }: PodPortsParts): AdminRoute[] {
  const place = placeOf(settings.podIp, settings.capture === 'transparent');
  return settings.appProbes.map((probe) => {
    // The port is open to everybody: the application is never asked the same thing twice at once.
    let pending: Promise<AdminReply> | null = null;
    const ask = async (): Promise<AdminReply> => {
      pending ??= askApplication(probe, place).finally(() => (pending = null));
      return pending;
    };
    return get(probe.path, 'probe of the application', ask);
  });
}

function get(path: string, doc: string, handler: AdminRoute['handler']): AdminRoute {
  return { method: 'GET', path, doc, handler };
}
