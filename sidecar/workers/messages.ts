// What the main thread and its workers tell each other.
import type { Snapshot } from '#api/snapshot.ts';
import type { Svid } from '#runtime/tls/svid.ts';

import type { ClusterView } from '../admin/views.ts';
import type { ConnectionCounts, Ports } from '../data-plane.ts';
import type { LimitTables } from '../limit/compile.ts';
import type { Answer, Question } from '../observe/questions.ts';
import type { SidecarSettings } from '../settings.ts';
import type { Family } from '../telemetry/families.ts';

/** What a worker begins with. */
export interface WorkerStart {
  readonly settings: SidecarSettings;
  readonly svid: Svid;
  readonly snapshot: Snapshot;
  /** Memory of its limits, which all workers count in; null: there are none. */
  readonly tables: LimitTables | null;
  readonly level: string;
  /** Ports of this process that no call of the application may reach. */
  readonly ownPorts: readonly number[];
  /** Connections finish what is under way and close. */
  readonly draining: boolean;
}

export type ToWorker =
  | { readonly kind: 'svid'; readonly svid: Svid }
  | {
      readonly kind: 'snapshot';
      readonly snapshot: Snapshot;
      readonly tables: LimitTables | null;
    }
  | { readonly kind: 'level'; readonly level: string }
  | { readonly kind: 'own-port'; readonly port: number }
  | { readonly kind: 'drain' }
  | { readonly kind: 'close' }
  /** Answered with a report that carries the same number. */
  | { readonly kind: 'report'; readonly id: number }
  /** The same. */
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question };

export interface WorkerReport {
  readonly metrics: readonly Family[];
  readonly clusters: ClusterView[];
  readonly connections: ConnectionCounts;
}

export type FromWorker =
  | { readonly kind: 'ready'; readonly ports: Ports }
  | { readonly kind: 'report'; readonly id: number; readonly report: WorkerReport }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer<Question> }
  | { readonly kind: 'closed' };
