// Where the workload's certificate comes from: the CA, or files. Both look the same from here.
import type { Svid } from '#runtime/tls/svid.ts';

export interface Identity {
  /** Resolves with the first certificate. */
  start(): Promise<void>;
  /** The one in force. Throws before `start` has resolved. */
  current(): Svid;
  /** Calls `listener` after each change of the certificate or of the trust bundle. */
  onChange(listener: (svid: Svid) => void): void;
  stop(): void;
}
