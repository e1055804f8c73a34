// Tells users in the status of their resources what became of them. One replica of control does it: the one that leads.
import type { KubeClient } from '#runtime/kubernetes/client.ts';
import { Leadership } from '#runtime/kubernetes/lease.ts';
import type { Log } from '#runtime/log.ts';

import type { Snapshots } from '../snapshots.ts';
import type { ResourceSource } from '../sources/source.ts';
import type { Census } from './census.ts';
import { Reporter, type ReporterTiming } from './reporter.ts';

export interface StatusOptions {
  readonly client: KubeClient;
  /** Where control runs: its Lease is there. */
  readonly namespace: string;
  readonly census: Census;
  readonly source: Pick<ResourceSource, 'problems'>;
  readonly snapshots: Pick<Snapshots, 'view'>;
  readonly log: Log;
  readonly timing?: Partial<ReporterTiming>;
}

export interface Status {
  /** Gives the lead up. */
  stop(): Promise<void>;
}

const leaseName = 'selvage-control-status';

/** Begins at once; nothing else waits for it. */
export function startStatus(options: StatusOptions): Status {
  const { client, namespace, census, log } = options;
  let reporter: Reporter | null = null;
  const leadership = new Leadership({
    client,
    namespace,
    name: leaseName,
    // The name for people; two processes on one machine differ all the same.
    identity: `${census.replica}_${census.id}`,
    log,
    onChange: (leads) => {
      reporter?.stop();
      reporter = leads ? new Reporter({ ...options, leads: () => leadership.leads }) : null;
      reporter?.start();
    },
  });
  leadership.start();
  return { stop: () => leadership.stop() };
}
