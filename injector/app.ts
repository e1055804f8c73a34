// The injector put together: its certificate, the webhooks' server, the caBundle, health and admin.
import { setTimeout } from 'node:timers/promises';

import { startAdmin, type AdminRoute } from '#runtime/admin.ts';
import { healthRoutes } from '#runtime/health.ts';
import { podAccess } from '#runtime/kubernetes/access.ts';
import { createKubeClient, type KubeClient } from '#runtime/kubernetes/client.ts';
import type { Log } from '#runtime/log.ts';
import { createIdentity } from '#runtime/tls/ca-identity.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import { createAnswers } from './answers.ts';
import { CaBundleKeeper } from './ca-bundle.ts';
import { createMetrics, type InjectorMetrics } from './metrics.ts';
import { startWebhookServer, type ServingCertificate } from './server.ts';
import type { InjectorSettings } from './settings.ts';

export interface Injector {
  readonly port: number;
  readonly adminPort: number;
  readonly healthPort: number;
  close(): Promise<void>;
}

/** What the process needs of its certificate; SvidSource gives it. */
export interface Identity {
  start(): Promise<void>;
  current(): Svid;
  onChange(listener: (svid: Svid) => void): void;
  stop(): void;
}

/** What tests put in the place of the CA and of the cluster. */
export interface InjectorParts {
  readonly identity?: Identity;
  /** null: there is no cluster. */
  readonly client?: KubeClient | null;
}

/** Starts everything; resolves when the API server is answered, rejects with the first thing that is wrong. */
export async function startInjector(
  settings: InjectorSettings,
  log: Log,
  parts: InjectorParts = {},
): Promise<Injector> {
  const identity = parts.identity ?? createIdentity({ ...settings, log });
  let svid: Svid | null = null;
  let ready = false;
  const metrics = createMetrics(() => svid?.notAfterMs ?? 0);
  const routes = healthRoutes({
    ready: () => ready,
    readyWhen: 'answering the API server',
    metrics: () => metrics.render(),
  });
  const admin = await startAdmin({
    ...settings.admin,
    routes: [...routes, statsRoute(metrics)],
  });
  const health = await startAdmin({ ...settings.health, routes });
  await identity.start();
  svid = identity.current();
  const server = await startWebhookServer({
    ...settings.listen,
    certificate: certificateOf(svid),
    answer: createAnswers({ config: settings.injection, metrics, log }),
    log,
  });
  const client = parts.client === undefined ? await clientOf(settings) : parts.client;
  const keeper = client === null ? null : keep(client, settings, metrics, log, identity);
  identity.onChange((next) => {
    svid = next;
    server.setCertificate(certificateOf(next));
    keeper?.update();
  });
  ready = true;
  return {
    port: server.port,
    adminPort: admin.port,
    healthPort: health.port,
    close: async () => {
      ready = false;
      keeper?.stop();
      identity.stop();
      // The Service sends connections here until all nodes have heard that this pod ends.
      const leaveMs = settings.kubernetes === null ? 0 : settings.drainTimeoutMs / 2;
      await setTimeout(leaveMs);
      await server.close(settings.drainTimeoutMs - leaveMs);
      await client?.close();
      await health.close();
      await admin.close();
    },
  };
}

function keep(
  client: KubeClient,
  settings: InjectorSettings,
  metrics: InjectorMetrics,
  log: Log,
  identity: Identity,
): CaBundleKeeper {
  const keeper = new CaBundleKeeper({
    client,
    name: settings.webhooks,
    trustBundle: () => identity.current().trustBundlePem,
    onWrite: (outcome) => metrics.bundleWritten(outcome),
    log,
  });
  // Not waited for: until it is there the API server does not trust us, and says so to whoever asks.
  keeper.start().catch((error: unknown) => log.debug({ error }, 'caBundle is not kept'));
  return keeper;
}

async function clientOf({ kubernetes }: InjectorSettings): Promise<KubeClient | null> {
  return kubernetes === null ? null : createKubeClient(await podAccess(kubernetes.href));
}

function certificateOf({ keyPem, chainPem }: Svid): ServingCertificate {
  return { key: keyPem, cert: chainPem };
}

/** The admin endpoints of all processes have their metrics here. */
function statsRoute(metrics: InjectorMetrics): AdminRoute {
  return {
    method: 'GET',
    path: '/stats/prometheus',
    doc: 'metrics',
    handler: () => metrics.render(),
  };
}
