// The process's own certificate: obtained, renewed at half its life, kept to its end while the CA is away.
import { Backoff } from '../backoff.ts';
import { systemClock, type Clock, type Timer } from '../clock.ts';
import type { Log } from '../log.ts';
import { BundleFile } from './bundle-file.ts';
import { createKeyAndCsr } from './csr.ts';
import { checkBundle, checkSvid, joinBundles, sameRoots } from './svid-check.ts';
import type { SvidDisk } from './svid-disk.ts';

export interface Svid {
  /** PKCS#8. */
  readonly keyPem: string;
  /** Leaf first. */
  readonly chainPem: string;
  /** Every root to trust at present. */
  readonly trustBundlePem: string;
  /** `spiffe://…` */
  readonly identity: string;
  /** The leaf's end, ms since 1970. */
  readonly notAfterMs: number;
}

/** What the CA replies (api/signing.ts). */
export interface SignedChain {
  readonly chain: string;
  readonly trustBundle: string;
  readonly identity: string;
  /** RFC 3339. */
  readonly notAfter: string;
}

export interface SvidOptions {
  /** Has a request signed; rejects when the CA is away or refuses. Called once at a time. */
  readonly sign: (csrPem: string) => Promise<SignedChain>;
  /** The roots to trust at present, asked for every `bundleEveryMs`, so that a rotation arrives before half life. */
  readonly fetchBundle?: () => Promise<string>;
  /** 60 s where it is left out. */
  readonly bundleEveryMs?: number;
  /** PEM of roots that others change, as a mounted ConfigMap: looked at every few seconds. */
  readonly bundleFile?: string;
  /** Where the certificate outlives the process. */
  readonly disk?: SvidDisk;
  readonly log: Log;
  readonly clock?: Clock;
  /** 0 to 1, for tests. */
  readonly random?: () => number;
}

/** For the admin endpoint. */
export interface SvidState {
  readonly identity: string;
  /** Hexadecimal, as X509Certificate gives it; '' before the first certificate. */
  readonly serial: string;
  /** RFC 3339; '' before the first certificate. */
  readonly notAfter: string;
  readonly expired: boolean;
  readonly renewals: number;
  /** Of the last attempt; null after a success. */
  readonly lastError: string | null;
}

const half = 0.5;
const jitter = 0.01;
/** Timers stand still while a laptop sleeps, certificates do not: the wall clock is looked at this often. */
const lookEveryMs = 60_000;

export class SvidSource {
  readonly #options: SvidOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #listeners: ((svid: Svid) => void)[] = [];
  readonly #first = Promise.withResolvers<void>();
  #svid: Svid | null = null;
  #serial = '';
  #renewals = 0;
  #lastError: string | null = null;
  #timer: Timer | null = null;
  #bundleTimer: Timer | null = null;
  readonly #bundleFile: BundleFile | null;
  #state: 'new' | 'started' | 'stopped' = 'new';

  constructor(options: SvidOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#backoff = new Backoff({
      firstMs: 50,
      maxMs: 60_000,
      jitter: 0.2,
      random: this.#random,
    });
    const { bundleFile: path } = options;
    this.#bundleFile =
      path === undefined
        ? null
        : new BundleFile({ path, onChange: (pem) => this.#offer(pem), clock: this.#clock });
  }

  /** Resolves with the first certificate, the stored one or a new one, however long the CA is away; rejects only when stopped before. */
  start(): Promise<void> {
    if (this.#state === 'new') {
      this.#state = 'started';
      // Side by side: a CA that is there is not waited for longer because of the disk.
      void this.#restore();
      void this.#renew();
      this.#bundleFile?.start();
    }
    return this.#first.promise;
  }

  /** The certificate in force; after its end still the last one. Throws before `start` has resolved. */
  current(): Svid {
    if (this.#svid === null) throw new Error('there is no certificate yet: await start() first');
    return this.#svid;
  }

  /** Calls `listener` after each change of the certificate or of the trust bundle. */
  onChange(listener: (svid: Svid) => void): void {
    this.#listeners.push(listener);
  }

  /** Renews at once, as after the CA told that a root is withdrawn. */
  renewNow(): void {
    if (this.#state !== 'started' || this.#timer === null) return;
    this.#timer.cancel();
    void this.#renew();
  }

  stop(): void {
    if (this.#state === 'started' && this.#svid === null) {
      this.#first.reject(new Error('stopped before the first certificate'));
    }
    this.#state = 'stopped';
    this.#timer?.cancel();
    this.#bundleTimer?.cancel();
    this.#bundleFile?.stop();
  }

  state(): SvidState {
    const svid = this.#svid;
    return {
      identity: svid?.identity ?? '',
      serial: this.#serial,
      notAfter: svid === null ? '' : new Date(svid.notAfterMs).toISOString(),
      expired: svid !== null && svid.notAfterMs <= this.#clock.now(),
      renewals: this.#renewals,
      lastError: this.#lastError,
    };
  }

  /** The stored certificate serves until the CA answers. */
  async #restore(): Promise<void> {
    const stored = await this.#options.disk?.load(this.#clock.now());
    // The CA tells the roots of today; the stored ones may lack those that came since.
    const known = stored ? ((await this.#bundleFile?.read()) ?? '') : '';
    if (!stored || this.#svid !== null || this.#isStopped()) return;
    const { svid, serial } = stored;
    this.#serial = serial;
    this.#take({ ...svid, trustBundlePem: this.#joined(svid.trustBundlePem, known) });
    const { identity } = svid;
    const { notAfter } = this.state();
    this.#options.log.info({ identity, serial, notAfter }, 'stored certificate in force');
    this.#scheduleBundle();
    this.#first.resolve();
  }

  async #renew(): Promise<void> {
    this.#timer = null;
    const { log, sign } = this.#options;
    try {
      const { key, keyPem, csrPem } = createKeyAndCsr();
      const reply = await sign(csrPem);
      if (this.#isStopped()) return;
      const { svid, serial } = checkSvid(reply, key, keyPem, this.#clock.now());
      this.#lastError = null;
      this.#backoff.reset();
      this.#serial = serial;
      this.#renewals += 1;
      this.#take(svid);
      this.#options.disk?.save(svid);
      log.info(
        { identity: svid.identity, serial, notAfter: this.state().notAfter },
        'certificate obtained',
      );
      this.#scheduleAtHalfLife(svid);
      this.#scheduleBundle();
      this.#first.resolve();
    } catch (error) {
      if (this.#isStopped()) return;
      const waitMs = this.#backoff.next();
      this.#lastError = error instanceof Error ? error.message : String(error);
      const { notAfter, expired } = this.state();
      const fields = { error, retryInMs: Math.round(waitMs), notAfter };
      if (expired) log.error(fields, 'certificate expired and cannot be renewed: peers refuse it');
      else log.warn(fields, 'no certificate from the CA; trying again');
      this.#timer = this.#clock.after(waitMs, () => void this.#renew());
    }
  }

  #isStopped(): boolean {
    return this.#state === 'stopped';
  }

  #take(svid: Svid): void {
    this.#svid = svid;
    for (const listener of this.#listeners) {
      try {
        listener(svid);
      } catch (error) {
        this.#options.log.error({ error }, 'a user of the certificate failed to take the new one');
      }
    }
  }

  #scheduleAtHalfLife(svid: Svid): void {
    const now = this.#clock.now();
    const part = half + jitter * (this.#random() * 2 - 1);
    this.#waitUntil(now + (svid.notAfterMs - now) * part);
  }

  #waitUntil(atMs: number): void {
    const leftMs = atMs - this.#clock.now();
    this.#timer = this.#clock.after(Math.min(Math.max(leftMs, 0), lookEveryMs), () => {
      if (this.#clock.now() >= atMs) void this.#renew();
      else this.#waitUntil(atMs);
    });
  }

  #scheduleBundle(): void {
    const { fetchBundle, bundleEveryMs = 60_000 } = this.#options;
    if (fetchBundle === undefined || this.#isStopped()) return;
    this.#bundleTimer?.cancel();
    const waitMs = bundleEveryMs * (1 + 0.1 * (this.#random() * 2 - 1));
    this.#bundleTimer = this.#clock.after(waitMs, () => void this.#refreshBundle(fetchBundle));
  }

  async #refreshBundle(fetchBundle: () => Promise<string>): Promise<void> {
    try {
      const trustBundlePem = await fetchBundle();
      const svid = this.#svid;
      if (this.#isStopped() || svid === null) return;
      if (trustBundlePem !== svid.trustBundlePem) {
        checkBundle(trustBundlePem);
        this.#options.log.info({}, 'trust bundle changed');
        this.#take({ ...svid, trustBundlePem });
        this.#options.disk?.save({ ...svid, trustBundlePem });
      }
    } catch (error) {
      this.#options.log.debug({ error }, 'trust bundle not refreshed; keeping the present one');
    }
    this.#scheduleBundle();
  }

  /** The file has other roots: those that are new count at once, and the CA is asked which there are now. */
  #offer(pem: string): void {
    const { log, fetchBundle } = this.#options;
    const svid = this.#svid;
    if (svid === null || this.#isStopped() || sameRoots(pem, svid.trustBundlePem)) return;
    const trustBundlePem = this.#joined(svid.trustBundlePem, pem);
    if (!sameRoots(trustBundlePem, svid.trustBundlePem)) {
      log.info({}, 'roots added from the trust bundle file');
      this.#take({ ...svid, trustBundlePem });
      this.#options.disk?.save({ ...svid, trustBundlePem });
    }
    if (fetchBundle === undefined) return;
    this.#bundleTimer?.cancel();
    void this.#refreshBundle(fetchBundle);
  }

  #joined(presentPem: string, addedPem: string): string {
    if (addedPem === '') return presentPem;
    try {
      return joinBundles(presentPem, addedPem);
    } catch (error) {
      this.#options.log.warn({ error }, 'the trust bundle file cannot be used; leaving it out');
      return presentPem;
    }
  }
}
