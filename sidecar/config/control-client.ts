// The sidecar's connection to control: says hello, applies what comes, accepts or refuses it, and never gives up.
import type { Snapshot, SidecarMessage } from '#api/snapshot.ts';
import { Backoff } from '#runtime/backoff.ts';
import { connectTimeoutMs } from '#runtime/connect-deadline.ts';
import type { Log } from '#runtime/log.ts';

import {
  openControlStream,
  type ControlCredentials,
  type ControlStream,
} from './control-stream.ts';
import { applyDelta } from './delta.ts';
import { parseControlMessage } from './shape.ts';

export interface ControlClientOptions {
  /** https; only its origin counts. */
  readonly url: URL;
  readonly namespace: string;
  readonly workload: string;
  readonly pod: string;
  /** Of this software. */
  readonly version: string;
  /** The SPIFFE ID that control must prove: `spiffe://TD/ns/selvage-system/sa/selvage-control`. */
  readonly controlIdentity: string;
  /** Asked at each connection, so that a renewed certificate is used. */
  readonly credentials: () => ControlCredentials;
  /** Puts a snapshot in force. Throws to refuse it: the message goes to control, the old one stays. */
  readonly apply: (snapshot: Snapshot) => void;
  /** What a snapshot needs before `apply`; null: nothing. Lines that come meanwhile wait. */
  readonly prepare?: (snapshot: Snapshot) => Promise<void> | null;
  readonly log: Log;
  readonly limits?: Partial<ControlClientLimits>;
}

export interface ControlClientLimits {
  /** TCP alone: as long as it lasts, the endpoints that are known grow old. */
  readonly connectTimeoutMs: number;
  /** TLS and the answer's head as well; control holds an unknown workload for 30 s. */
  readonly answerTimeoutMs: number;
  /** Control sends something every 15 s; after this without a byte it counts as dead. */
  readonly silenceMs: number;
  readonly snapshotBytesMax: number;
  readonly firstRetryMs: number;
  readonly retryMaxMs: number;
  /** A connection that lived so long makes the next wait the first again. */
  readonly steadyMs: number;
}

export const controlClientLimits: ControlClientLimits = {
  connectTimeoutMs,
  answerTimeoutMs: 40_000,
  silenceMs: 45_000,
  snapshotBytesMax: 64 * 1024 * 1024,
  firstRetryMs: 250,
  retryMaxMs: 15_000,
  steadyMs: 10_000,
};

export interface ControlState {
  readonly connected: boolean;
  /** Version last accepted; 0: none from control yet. */
  readonly version: number;
  /** Why the last connection ended or the last snapshot was refused; null: neither happened. */
  readonly lastError: string | null;
}

export class ControlClient {
  readonly #options: ControlClientOptions;
  readonly #limits: ControlClientLimits;
  readonly #backoff: Backoff;
  readonly #first = Promise.withResolvers<Snapshot>();
  #accepted: Snapshot | null = null;
  /** What the present connection's deltas start from; a new connection begins with a whole snapshot. */
  #base: Snapshot | null = null;
  #stream: ControlStream | null = null;
  #openedAtMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #connected = false;
  #stopped = false;
  /** Lines that wait for one that is being prepared; null: none is. */
  #waiting: string[] | null = null;
  #lastError: string | null = null;

  constructor(options: ControlClientOptions) {
    this.#options = options;
    this.#limits = { ...controlClientLimits, ...options.limits };
    this.#backoff = new Backoff({
      firstMs: this.#limits.firstRetryMs,
      maxMs: this.#limits.retryMaxMs,
      jitter: 0.3,
    });
    // Whoever does not wait for the first snapshot must not see its rejection.
    this.#first.promise.catch(() => undefined);
  }

  /** Begins; resolves with the first snapshot put in force, rejects only when stopped before. */
  start(): Promise<Snapshot> {
    if (this.#stream === null && this.#timer === null && !this.#stopped) this.#connect();
    return this.#first.promise;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#stream?.close('stopped');
    this.#first.reject(new Error('stopped before the first snapshot'));
  }

  state(): ControlState {
    return {
      connected: this.#connected,
      version: this.#accepted?.version ?? 0,
      lastError: this.#lastError,
    };
  }

  #connect(): void {
    this.#timer = null;
    this.#openedAtMs = Date.now();
    this.#base = null;
    this.#waiting = null;
    const { url, controlIdentity, credentials, namespace, workload, pod, version } = this.#options;
    const have = this.#accepted?.version ?? 0;
    try {
      this.#stream = openControlStream({
        url,
        controlIdentity,
        credentials: credentials(),
        limits: this.#limits,
        hello: encode({ type: 'hello', namespace, workload, pod, version, have }),
        onOpen: () => {
          this.#connected = true;
          this.#options.log.info({ control: url.host }, 'connected to control');
        },
        onLine: (line) => this.#take(line),
        onEnd: (reason) => this.#ended(reason),
      });
    } catch (error) {
      // No certificate yet, or one that OpenSSL cannot read.
      this.#ended(messageOf(error));
    }
  }

  /** @param reason '' for the regular end of a connection that control closed */
  #ended(reason: string): void {
    this.#stream = null;
    this.#connected = false;
    if (this.#stopped) return;
    if (Date.now() - this.#openedAtMs >= this.#limits.steadyMs) this.#backoff.reset();
    const waitMs = this.#backoff.next();
    const fields = { control: this.#options.url.host, reason, retryInMs: Math.round(waitMs) };
    if (reason === '') {
      this.#options.log.debug(fields, 'control closed the connection; connecting again');
    } else {
      this.#lastError = reason;
      this.#options.log.warn(fields, 'no connection to control; the last snapshot stays in force');
    }
    this.#timer = setTimeout(() => this.#connect(), waitMs);
  }

  /** Throws when the line cannot be understood: the stream then ends, and the next begins anew. */
  #take(line: string): void {
    if (this.#waiting !== null) {
      this.#waiting.push(line);
      return;
    }
    const message = parseControlMessage(line);
    if (message.type === 'ping') return;
    const version = message.type === 'snapshot' ? message.snapshot.version : message.delta.to;
    try {
      const next =
        message.type === 'snapshot'
          ? message.snapshot
          : applyDelta(this.#needBase(), message.delta);
      this.#checkOurs(next);
      const preparing = this.#options.prepare?.(next) ?? null;
      if (preparing === null) this.#apply(next);
      else void this.#applyAfter(preparing, next);
    } catch (error) {
      this.#refuse(version, error);
    }
  }

  /** Throws when it cannot be put in force. */
  #apply(next: Snapshot): void {
    this.#options.apply(next);
    this.#base = next;
    this.#accepted = next;
    const { version } = next;
    this.#options.log.debug({ version }, 'snapshot in force');
    this.#send({ type: 'ack', version });
    this.#first.resolve(next);
  }

  /** Then what waited is taken: deltas count from this one. */
  async #applyAfter(preparing: Promise<void>, next: Snapshot): Promise<void> {
    const stream = this.#stream;
    this.#waiting = [];
    try {
      await preparing;
      // A connection that has begun since says everything anew.
      if (stream === this.#stream) this.#apply(next);
    } catch (error) {
      this.#refuse(next.version, error);
    }
    if (stream !== this.#stream) return;
    const lines = this.#waiting;
    this.#waiting = null;
    try {
      for (const line of lines) this.#take(line);
    } catch (error) {
      stream?.close(`control sent what cannot be understood: ${messageOf(error)}`);
    }
  }

  #refuse(version: number, error: unknown): void {
    const reason = messageOf(error);
    this.#lastError = `snapshot ${version} refused: ${reason}`;
    this.#options.log.error({ version, error }, 'snapshot refused; the last one stays in force');
    // Well under control's limit for a line, whatever JSON makes of the characters.
    this.#send({ type: 'nack', version, reason: reason.slice(0, 1000) });
  }

  #needBase(): Snapshot {
    if (this.#base === null) throw new Error('a delta came before a whole snapshot');
    return this.#base;
  }

  #checkOurs({ workload }: Snapshot): void {
    if (
      workload.namespace !== this.#options.namespace ||
      workload.name !== this.#options.workload
    ) {
      throw new Error(`it is the snapshot of ${workload.namespace}/${workload.name}`);
    }
  }

  #send(message: SidecarMessage): void {
    this.#stream?.send(encode(message));
  }
}

function encode(message: SidecarMessage): string {
  return `${JSON.stringify(message)}\n`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
