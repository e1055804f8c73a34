// The CA put together: roots, identity, signing, its endpoint, its admin port.
import { startAdmin, type Admin } from '#runtime/admin.ts';
import { systemClock, type Clock, type Timer } from '#runtime/clock.ts';
import { startHealth } from '#runtime/health.ts';
import type { Log } from '#runtime/log.ts';
import { adminRoutes } from './admin-routes.ts';
import { startApi, type Api } from './api.ts';
import { openAudit, type Audit } from './audit.ts';
import { openBacking, type Backing } from './backing.ts';
import { createSelfSignedIssuer } from './issuer.ts';
import { Limit } from './limit.ts';
import { type CaMetrics, createMetrics } from './metrics.ts';
import { openRoots, type Roots } from './roots.ts';
import { Serving } from './serving.ts';
import type { CaSettings } from './settings.ts';
import { createSigning } from './signing.ts';

export interface Ca {
  readonly port: number;
  readonly adminPort: number;
  /** Null: health is told on the admin port only. */
  readonly healthPort: number | null;
  /** Reads the operator's issuer again and opens the audit file again; rejects, changing nothing, when it is broken. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** Roots move on by time: looked at this often. */
const tickMs = 30_000;

/** Starts everything; rejects with the first thing that is wrong. */
export async function startCa(
  settings: CaSettings,
  log: Log,
  clock: Clock = systemClock,
): Promise<Ca> {
  let served: Roots | null = null;
  const ready = (): boolean => served !== null && canSign(served, clock);
  let metrics: CaMetrics | null = null;
  const health = await startHealth(settings.health, {
    ready,
    readyWhen: 'able to sign',
    metrics: () => metrics?.render() ?? null,
  });
  const backing = await openBacking(settings, log, clock);
  const roots = await openCaRoots(settings, backing, log, clock);
  const audit = openAudit(settings.auditFile);
  await roots.tick();
  let api: Api | null = null;
  const serving = new Serving(
    {
      roots,
      trustDomain: settings.trustDomain,
      extraDnsNames: settings.dnsNames,
      lifeSeconds: settings.leafLifeSeconds,
      clock,
      log,
    },
    (certificate) => api?.install(certificate),
  );
  roots.onChange(() => serving.renew());
  const counts = createMetrics({
    issuerNotAfterMs: () => roots.current().issuer.notAfterMs,
    rootNotAfterMs: () => roots.records.find(({ role }) => role === 'signing')?.rootNotAfterMs ?? 0,
    servingNotAfterMs: () => serving.current().notAfterMs,
    rootsTrusted: () => roots.records.length,
  });
  metrics = counts;
  const policy = {
    trustDomain: settings.trustDomain,
    lifeSecondsMax: settings.leafLifeSeconds,
    servingNames: namesOf(settings.servingNames),
  };
  const limit = new Limit({
    perIdentity: settings.identityRate,
    overall: settings.overallRate,
    clock,
  });
  api = await startApi({
    ...settings.listen,
    certificate: serving.current(),
    sign: createSigning({ ...backing, limit, roots, policy, audit, metrics: counts, clock, log }),
    trustBundlePem: () => roots.current().trustBundlePem,
    callTimeoutMs: settings.callTimeoutMs,
    refused: (code) => counts.refused(code),
    log,
  });
  const reload = (): Promise<void> => reloadIssuer(backing, roots, audit, log);
  const admin = await startAdmin({
    ...settings.admin,
    routes: adminRoutes({ roots, metrics: counts, reload, ready }),
  });
  backing.follow(roots);
  served = roots;
  const endpoints = { api, admin, health };
  return running({ ...endpoints, backing, roots, serving, audit, reload, clock, log, settings });
}

interface Parts {
  readonly api: Api;
  readonly admin: Admin;
  readonly health: Admin | null;
  readonly backing: Backing;
  readonly roots: Roots;
  readonly serving: Serving;
  readonly audit: Audit;
  readonly reload: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: CaSettings;
}

function running(parts: Parts): Ca {
  const { api, admin, health, backing, roots, serving, audit, reload, clock, log } = parts;
  let timer: Timer | null = null;
  const tickLater = (): void => {
    timer = clock.after(tickMs, () => {
      roots
        .tick()
        .catch((error: unknown) => log.error({ error }, 'rotation step failed; trying again'))
        .finally(tickLater);
    });
  };
  tickLater();
  return {
    port: api.port,
    adminPort: admin.port,
    healthPort: health?.port ?? null,
    reload,
    async close() {
      timer?.cancel();
      serving.stop();
      await api.close(parts.settings.drainTimeoutMs);
      await backing.close();
      await Promise.all([admin.close(), health?.close()]);
      audit.close();
    },
  };
}

async function openCaRoots(
  settings: CaSettings,
  backing: Backing,
  log: Log,
  clock: Clock,
): Promise<Roots> {
  const { trustDomain, rootLifeSeconds } = settings;
  return openRoots({
    store: backing.store,
    overlapMs: settings.overlapSeconds * 1000,
    leafLifeMs: settings.leafLifeSeconds * 1000,
    create: () => createSelfSignedIssuer(trustDomain, rootLifeSeconds * 1000, clock.now()),
    plugged: await backing.readPlugged(),
    clock,
    log,
  });
}

async function reloadIssuer(backing: Backing, roots: Roots, audit: Audit, log: Log): Promise<void> {
  const issuer = await backing.readPlugged();
  if (issuer !== null) await roots.adopt(issuer);
  audit.reopen();
  log.info({}, 'reloaded');
}

function canSign(roots: Roots, clock: Clock): boolean {
  return roots.upToDate && roots.current().issuer.notAfterMs > clock.now();
}

function namesOf(pairs: CaSettings['servingNames']): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const { account, dnsName } of pairs) {
    names.set(account, [...(names.get(account) ?? []), dnsName]);
  }
  return names;
}
