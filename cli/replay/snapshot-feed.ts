// Control for one sidecar under replay: the real push server, with snapshots from recorded cases.
import type { Snapshot } from '#api/snapshot.ts';
import { type PushServer, startPushServer } from '#control/push/server.ts';
import { Sessions } from '#control/push/sessions.ts';
import { silentLog } from '#runtime/log.ts';

import type { Credentials } from './certificates.ts';
import { SidecarUnusable } from './unusable.ts';

const limits = {
  connectionsMax: 8,
  perIdentityMax: 8,
  handshakeTimeoutMs: 10_000,
  pingEveryMs: 15_000,
  helloTimeoutMs: 10_000,
  unknownWaitMs: 30_000,
  idleTimeoutMs: 60_000,
};
const sessionLimits = { pingEveryMs: 15_000, answerTimeoutMs: 60_000, ageMaxMs: 24 * 3_600_000 };

export class SnapshotFeed {
  #snapshot: Snapshot | null = null;
  #version = 0;
  #settle: ((refusal: string | null) => void) | null = null;
  readonly #sessions = new Sessions(() => this.#snapshot, sessionLimits);
  #server: PushServer | null = null;

  /** Listens on loopback. @param trustDomain of the sidecar's certificate. Resolves with the port */
  async start(credentials: Credentials, trustDomain: string): Promise<number> {
    const events = {
      pushed: ignore,
      connected: ignore,
      disconnected: ignore,
      refused: (code: string) => this.#settle?.(`control refuses the sidecar: ${code}`),
      acked: (_: unknown, version: number) => this.#answered(version, null),
      nacked: (_: unknown, version: number, reason: string) => this.#answered(version, reason),
    };
    this.#server = await startPushServer({
      host: '127.0.0.1',
      port: 0,
      credentials,
      trustDomain,
      sessions: this.#sessions,
      events,
      limits,
      log: silentLog,
    });
    return this.#server.port;
  }

  /** Pushes a snapshot; resolves when the sidecar has it in force, rejects when it refuses. One at a time. */
  async apply(snapshot: Omit<Snapshot, 'version'>): Promise<void> {
    this.#version += 1;
    this.#snapshot = { ...snapshot, version: this.#version };
    const { promise, resolve } = Promise.withResolvers<string | null>();
    this.#settle = resolve;
    this.#sessions.publish(Date.now());
    const refusal = await promise;
    this.#settle = null;
    if (refusal !== null) throw new SidecarUnusable(`it refuses the snapshot: ${refusal}`);
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  #answered(version: number, refusal: string | null): void {
    if (version === this.#version) this.#settle?.(refusal);
  }
}

function ignore(): void {}
