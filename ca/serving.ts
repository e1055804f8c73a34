// The CA's own certificate, issued by itself and renewed in place.
import { generateKeyPairSync } from 'node:crypto';
import { formatSpiffeId } from '#api/spiffe.ts';
import type { Clock, Timer } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import { planLife } from './authority.ts';
import { signLeaf } from './leaf.ts';
import type { Roots } from './roots.ts';

export interface ServingOptions {
  readonly roots: Roots;
  readonly trustDomain: string;
  /** Beside those that every CA has. */
  readonly extraDnsNames: readonly string[];
  readonly lifeSeconds: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface ServingCertificate {
  readonly key: string;
  readonly cert: string;
  readonly notAfterMs: number;
}

const dnsNames = [
  'localhost',
  'selvage-ca',
  'selvage-ca.selvage-system',
  'selvage-ca.selvage-system.svc',
  'selvage-ca.selvage-system.svc.cluster.local',
];
const ipAddresses = ['127.0.0.1', '::1'];
const retryMs = 10_000;
/** The wall clock may jump, timers do not. */
const lookEveryMs = 60_000;

/** Keeps a certificate in force and hands each new one to `install`. */
export class Serving {
  readonly #options: ServingOptions;
  readonly #install: (certificate: ServingCertificate) => void;
  #current: ServingCertificate;
  #renewAtMs = 0;
  #timer: Timer | null = null;

  /** Throws when the issuer cannot sign (Refusal `issuer-expired`). */
  constructor(options: ServingOptions, install: (certificate: ServingCertificate) => void) {
    this.#options = options;
    this.#install = install;
    this.#current = this.#issue();
    this.#schedule(lookEveryMs);
  }

  current(): ServingCertificate {
    return this.#current;
  }

  /** At half life, and at once when the issuer has changed. */
  renew(): void {
    try {
      this.#current = this.#issue();
      this.#install(this.#current);
      this.#schedule(lookEveryMs);
    } catch (error) {
      this.#options.log.error({ error }, "the CA's own certificate was not renewed; trying again");
      this.#schedule(retryMs);
    }
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #schedule(delayMs: number): void {
    const { clock } = this.#options;
    this.#timer?.cancel();
    this.#timer = clock.after(delayMs, () => {
      if (clock.now() >= this.#renewAtMs) this.renew();
      else this.#schedule(lookEveryMs);
    });
  }

  #issue(): ServingCertificate {
    const { roots, trustDomain, extraDnsNames, lifeSeconds, clock, log } = this.#options;
    const { issuer, chainPem } = roots.current();
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const nowMs = clock.now();
    const life = planLife(lifeSeconds, lifeSeconds, issuer, nowMs);
    const leaf = signLeaf(issuer, {
      uri: formatSpiffeId({
        trustDomain,
        namespace: 'selvage-system',
        serviceAccount: 'selvage-ca',
      }),
      dnsNames: [...new Set([...dnsNames, ...extraDnsNames])],
      ipAddresses,
      publicKeyInfo: publicKey.export({ type: 'spki', format: 'der' }),
      ...life,
    });
    this.#renewAtMs = nowMs + (life.notAfterMs - nowMs) / 2;
    log.info(
      { serial: leaf.serial, notAfter: new Date(life.notAfterMs).toISOString() },
      "the CA's own certificate issued",
    );
    return {
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: leaf.pem + chainPem,
      notAfterMs: life.notAfterMs,
    };
  }
}
