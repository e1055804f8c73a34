// Where the issuers are kept: a folder, or a Secret that several CAs share. One value, always whole.
import type { Records } from '../rotation.ts';

export interface Stored {
  readonly records: Records;
  /** Changes with every change; what a replacement is compared with. */
  readonly version: string;
}

export interface RootStore {
  /** For messages: `/var/lib/selvage/ca`, `Secret selvage-system/selvage-ca-root`. */
  readonly place: string;
  /** How long it may take until every CA that shares the store has followed a change; 0: nobody shares it. */
  readonly followMs: number;
  /** Null when there is nothing yet. Rejects with DamagedState when it cannot be understood. */
  read(): Promise<Stored | null>;
  /** Rejects with StoreConflict when another was faster. */
  create(records: Records): Promise<Stored>;
  /** Rejects with StoreConflict, changing nothing, when the store has another version by now. */
  replace(records: Records, version: string): Promise<Stored>;
  /** Tells those beside the store who only want the roots. */
  tell(records: Records): Promise<void>;
}

/** Another CA has changed the store: read it again, and decide anew. */
export class StoreConflict extends Error {
  override readonly name = 'StoreConflict';
}

/** Nobody but a person can mend it. */
export class DamagedState extends Error {
  override readonly name = 'DamagedState';
}
