// What a CA stands on: a folder and a key set on a laptop, a Secret and the API server in a cluster.
import type { Clock } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import type { Authenticator } from './identity/authenticator.ts';
import { createJwksAuthenticator } from './identity/jwks.ts';
import type { Issuer } from './issuer.ts';
import { isPlugged, readPluggedIssuer, type PluggedFiles } from './plugged.ts';
import type { Roots } from './roots.ts';
import type { CaSettings } from './settings.ts';
import { FolderStore } from './stores/folder.ts';
import type { RootStore } from './stores/store.ts';

export interface Backing {
  readonly store: RootStore;
  readonly authenticator: Authenticator;
  /** The operator's issuer as of now; null where there is none. Rejects with a message that names its place. */
  readPlugged(): Promise<Issuer | null>;
  /** Keeps the roots, once they are open, equal to what others change, and others to the roots. */
  follow(roots: Roots): void;
  close(): Promise<void>;
}

export async function openBacking(settings: CaSettings, log: Log, clock: Clock): Promise<Backing> {
  const { kubernetes } = settings;
  if (kubernetes !== null) {
    // The client of the API server costs memory that a CA without a cluster does not pay.
    const { openClusterBacking } = await import('./cluster/backing.ts');
    return openClusterBacking({ ...settings, kubernetes }, log, clock);
  }
  const files = pluggedFiles(settings);
  return {
    store: new FolderStore(settings.folder),
    authenticator: await createJwksAuthenticator({
      file: settings.jwksFile,
      issuer: settings.tokenIssuer,
      audience: settings.tokenAudience,
      clock,
      log,
    }),
    readPlugged: async () => (isPlugged(files) ? readPluggedIssuer(files) : null),
    follow() {},
    async close() {},
  };
}

export function pluggedFiles(settings: CaSettings): PluggedFiles {
  return {
    certFile: settings.issuerCertFile,
    keyFile: settings.issuerKeyFile,
    rootFile: settings.issuerRootFile,
    p12File: settings.issuerP12File,
    passwordFile: settings.issuerPasswordFile,
  };
}
