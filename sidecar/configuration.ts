// Where snapshots come from: control with the disk behind it, or a file in place of both.
import { stat } from 'node:fs/promises';

import type { Snapshot } from '#api/snapshot.ts';
import { formatSpiffeId, parseSpiffeId } from '#api/spiffe.ts';
import type { Log } from '#runtime/log.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import { ControlClient, type ControlState } from './config/control-client.ts';
import { SnapshotDisk } from './config/disk.ts';
import { readSnapshotFile } from './config/file.ts';
import type { InForce, Prepared } from './in-force.ts';
import { prepareRegexes } from './routing/regex.ts';
import { prepareTranscoding } from './transform/load-transcoding.ts';
import type { SidecarSettings } from './settings.ts';
import { version } from './version.ts';

export interface Configuration {
  /** Resolves when a snapshot is in force. */
  start(): Promise<void>;
  /** Null without control. */
  state(): ControlState | null;
  /** Stores what is not stored yet. */
  stop(): Promise<void>;
}

export interface ConfigurationOptions {
  readonly settings: SidecarSettings;
  readonly inForce: InForce;
  /** Called after the first certificate is there. */
  readonly svid: () => Svid;
  readonly log: Log;
}

const lookEveryMs = 1000;

export function createConfiguration(options: ConfigurationOptions): Configuration {
  const { control, snapshotFile } = options.settings;
  return control === null || snapshotFile !== ''
    ? fromFile(options, snapshotFile)
    : fromControl(options, control);
}

/** A file that changes is read again; one that is broken changes nothing. */
function fromFile({ inForce, log }: ConfigurationOptions, file: string): Configuration {
  // Files of an image may be of 1970, which is 0.
  let seenMs = -1;
  const load = async (): Promise<void> => {
    const { mtimeMs } = await stat(file);
    if (mtimeMs === seenMs) return;
    seenMs = mtimeMs;
    await applyPrepared(inForce, await readSnapshotFile(file));
  };
  let timer: NodeJS.Timeout | null = null;
  return {
    async start() {
      await load();
      timer = setInterval(() => {
        load().catch((error: unknown) => {
          log.error({ error }, 'snapshot refused; the last one stays in force');
        });
      }, lookEveryMs);
      timer.unref();
    },
    state: () => null,
    async stop() {
      if (timer !== null) clearInterval(timer);
    },
  };
}

/** The last snapshot from disk serves until control has told a newer one, or for ever without. */
function fromControl(options: ConfigurationOptions, url: URL): Configuration {
  const { settings, inForce, svid, log } = options;
  const { namespace, workload, pod, stateFolder } = settings;
  const disk =
    stateFolder === '' ? null : new SnapshotDisk({ folder: stateFolder, namespace, workload, log });
  let client: ControlClient | null = null;
  return {
    async start() {
      const stored = (await disk?.load()) ?? null;
      if (stored !== null) await applyStored(inForce, stored, log);
      client = new ControlClient({
        url,
        namespace,
        workload,
        pod,
        version,
        controlIdentity: controlIdentity(svid().identity),
        credentials: () => {
          const { keyPem: key, chainPem: cert, trustBundlePem: ca } = svid();
          return { key, cert, ca };
        },
        prepare: (snapshot) => {
          const regexes = prepareRegexes(snapshot);
          const transcoding = prepareTranscoding(snapshot);
          if (!(regexes instanceof Promise)) return transcoding;
          return regexes.then(() => transcoding ?? undefined);
        },
        apply: (snapshot) => {
          const regexes = prepareRegexes(snapshot);
          if (regexes instanceof Promise) throw new Error('its regular expressions are not there');
          inForce.apply(snapshot, { regexes });
          disk?.save(snapshot);
        },
        log,
      });
      const first = client.start();
      if (inForce.current() === null) await first;
    },
    state: () => client?.state() ?? null,
    async stop() {
      client?.stop();
      await disk?.flush();
    },
  };
}

/** @param tables counts of limits, in a worker thread */
export async function applyPrepared(
  inForce: InForce,
  snapshot: Snapshot,
  tables: Prepared['tables'] = null,
): Promise<void> {
  await prepareTranscoding(snapshot);
  inForce.apply(snapshot, { regexes: await prepareRegexes(snapshot), tables });
}

async function applyStored(inForce: InForce, stored: Snapshot, log: Log): Promise<void> {
  try {
    await applyPrepared(inForce, stored);
    log.info({ version: stored.version }, 'snapshot from disk in force');
  } catch (error) {
    log.warn({ error }, 'the stored snapshot cannot be applied; waiting for control');
  }
}

/** Control runs in the mesh's own namespace, in the same trust domain as we do. */
function controlIdentity(own: string): string {
  const trustDomain = parseSpiffeId(own)?.trustDomain ?? '';
  const [namespace, serviceAccount] = ['selvage-system', 'selvage-control'];
  return formatSpiffeId({ trustDomain, namespace, serviceAccount });
}
