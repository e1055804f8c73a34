// The CA put together: roots, identity, signing, its endpoint, its admin port.
import { startAdmin, type Admin } from '#runtime/admin.ts';
import { systemClock, type Clock, type Timer } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import { adminRoutes } from './admin-routes.ts';
import { startApi, type Api } from './api.ts';
import { openAudit, type Audit } from './audit.ts';
import { createJwksAuthenticator } from './identity/jwks.ts';
import { createSelfSignedIssuer } from './issuer.ts';
import { Limit } from './limit.ts';
import { createMetrics } from './metrics.ts';
import { isPlugged, readPluggedIssuer, type PluggedFiles } from './plugged.ts';
import { openRoots, type Roots } from './roots.ts';
import { Serving } from './serving.ts';
import type { CaSettings } from './settings.ts';
import { createSigning } from './signing.ts';

export interface Ca {
  readonly port: number;
  readonly adminPort: number;
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
  const roots = await openCaRoots(settings, log, clock);
  const authenticator = await createJwksAuthenticator({
    file: settings.jwksFile,
    issuer: settings.tokenIssuer,
    audience: settings.tokenAudience,
    clock,
    log,
  });
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
  const metrics = createMetrics({
    issuerNotAfterMs: () => roots.current().issuer.notAfterMs,
    servingNotAfterMs: () => serving.current().notAfterMs,
    rootsTrusted: () => roots.records.length,
  });
  const policy = {
    trustDomain: settings.trustDomain,
    lifeSecondsMax: settings.leafLifeSeconds,
  };
  const limit = new Limit({
    perIdentity: settings.identityRate,
    overall: settings.overallRate,
    clock,
  });
  api = await startApi({
    ...settings.listen,
    certificate: serving.current(),
    sign: createSigning({ authenticator, limit, roots, policy, audit, metrics, clock, log }),
    trustBundlePem: () => roots.current().trustBundlePem,
    callTimeoutMs: settings.callTimeoutMs,
    refused: (code) => metrics.refused(code),
    log,
  });
  const reload = (): Promise<void> => reloadIssuer(settings, roots, audit, log);
  const admin = await startAdmin({
    ...settings.admin,
    routes: adminRoutes({ roots, metrics, reload, clock }),
  });
  return running({ api, admin, roots, serving, audit, reload, clock, log, settings });
}

interface Parts {
  readonly api: Api;
  readonly admin: Admin;
  readonly roots: Roots;
  readonly serving: Serving;
  readonly audit: Audit;
  readonly reload: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: CaSettings;
}

function running(parts: Parts): Ca {
  const { api, admin, roots, serving, audit, reload, clock, log, settings } = parts;
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
    reload,
    async close() {
      timer?.cancel();
      serving.stop();
      await api.close(settings.drainTimeoutMs);
      await admin.close();
      audit.close();
    },
  };
}

async function openCaRoots(settings: CaSettings, log: Log, clock: Clock): Promise<Roots> {
  const files = pluggedFiles(settings);
  const { trustDomain, rootLifeSeconds } = settings;
  return openRoots({
    folder: settings.folder,
    overlapMs: settings.overlapSeconds * 1000,
    leafLifeMs: settings.leafLifeSeconds * 1000,
    create: () => createSelfSignedIssuer(trustDomain, rootLifeSeconds * 1000, clock.now()),
    plugged: isPlugged(files) ? await readPluggedIssuer(files) : null,
    clock,
    log,
  });
}

async function reloadIssuer(
  settings: CaSettings,
  roots: Roots,
  audit: Audit,
  log: Log,
): Promise<void> {
  const files = pluggedFiles(settings);
  if (isPlugged(files)) await roots.adopt(await readPluggedIssuer(files));
  audit.reopen();
  log.info({}, 'reloaded');
}

function pluggedFiles(settings: CaSettings): PluggedFiles {
  return {
    certFile: settings.issuerCertFile,
    keyFile: settings.issuerKeyFile,
    rootFile: settings.issuerRootFile,
    p12File: settings.issuerP12File,
    passwordFile: settings.issuerPasswordFile,
  };
}
