// A CA in a cluster: TokenReview, a Secret that the replicas share, the trust bundle in every namespace.
import { hostname } from 'node:os';
import { Backoff } from '#runtime/backoff.ts';
import type { Clock } from '#runtime/clock.ts';
import { podAccess } from '#runtime/kubernetes/access.ts';
import { createKubeClient, type KubeClient } from '#runtime/kubernetes/client.ts';
import { Leadership } from '#runtime/kubernetes/lease.ts';
import type { Log } from '#runtime/log.ts';
import { pluggedFiles, type Backing } from '../backing.ts';
import { TokenReviews } from '../identity/token-review.ts';
import { isPlugged } from '../plugged.ts';
import type { Roots } from '../roots.ts';
import type { CaSettings } from '../settings.ts';
import { SecretStore } from '../stores/secret.ts';
import { DamagedState } from '../stores/store.ts';
import { BundleMaps } from './bundle-maps.ts';
import { Follower } from './follower.ts';
import { fromFiles, fromSecret } from './plugged-source.ts';

type ClusterSettings = CaSettings & { readonly kubernetes: URL };

const rootSecretName = 'selvage-ca-root';
const pluggedSecretName = 'cacerts';
const leaseName = 'selvage-ca';
/** A sidecar gives the CA 10 s for its whole call. */
const reviewTimeoutMs = 5000;

/** Waits until the API server answers, however long; rejects only when the Secret is damaged or no pod's access is there. */
export async function openClusterBacking(
  settings: ClusterSettings,
  log: Log,
  clock: Clock,
): Promise<Backing> {
  const access = await podAccess(settings.kubernetes.href, settings.kubernetesFolder);
  const { namespace } = access;
  const userAgent = 'selvage-ca';
  const client = createKubeClient(access, { userAgent });
  const reviews = createKubeClient(access, { userAgent, requestTimeoutMs: reviewTimeoutMs });
  const store = new SecretStore({ client, namespace, name: rootSecretName });
  await untilAnswered(() => store.read(), clock, log);
  const files = pluggedFiles(settings);
  const plugged = isPlugged(files)
    ? fromFiles(files)
    : fromSecret(client, `/api/v1/namespaces/${namespace}/secrets/${pluggedSecretName}`);
  let pluggedVersion: string | null = null;
  const closers: (() => void | Promise<void>)[] = [];
  return {
    store,
    authenticator: new TokenReviews({
      client: reviews,
      audience: settings.tokenAudience,
      clock,
      log,
    }),
    async readPlugged() {
      const found = await plugged();
      const issuer = (await found?.issuer()) ?? null;
      pluggedVersion = found?.version ?? null;
      return issuer;
    },
    follow(roots) {
      const follower = new Follower({ roots, plugged, pluggedVersion, clock, log });
      follower.start();
      const identity = settings.pod === '' ? hostname() : settings.pod;
      const bundles = writeBundles({ client, namespace, identity, roots, clock, log });
      closers.push(() => follower.stop(), bundles);
    },
    async close() {
      for (const close of closers) await close();
      await Promise.all([client.close(), reviews.close()]);
    },
  };
}

interface BundleWriting {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly identity: string;
  readonly roots: Roots;
  readonly clock: Clock;
  readonly log: Log;
}

/** Writes the trust bundle while this replica leads; returns what ends it. */
function writeBundles(options: BundleWriting): () => Promise<void> {
  const { client, namespace, identity, roots, clock, log } = options;
  const bundlePem = (): string => roots.current().trustBundlePem;
  let maps: BundleMaps | null = null;
  roots.onChange(() => maps?.changed());
  const leadership = new Leadership({
    client,
    namespace,
    name: leaseName,
    identity,
    onChange(leads) {
      maps?.stop();
      maps = null;
      if (!leads) return;
      maps = new BundleMaps({ client, bundlePem, clock, log });
      maps.start();
    },
    log,
    clock,
  });
  leadership.start();
  return () => leadership.stop();
}

/** A pod that ended because the API server is away would come back later and later. */
async function untilAnswered(read: () => Promise<unknown>, clock: Clock, log: Log): Promise<void> {
  const backoff = new Backoff({ firstMs: 200, maxMs: 5000, jitter: 0.2 });
  for (let told = false; ; told = true) {
    try {
      await read();
      return;
    } catch (error) {
      if (error instanceof DamagedState) throw error;
      if (!told) log.warn({ error }, 'the roots cannot be read from the cluster yet; trying again');
      await new Promise<void>((resolve) => {
        // A timer of the clock alone would not keep the process alive.
        const alive = setInterval(() => undefined, 60_000);
        clock.after(backoff.next(), () => {
          clearInterval(alive);
          resolve();
        });
      });
    }
  }
}
