// The roots in force: what signs now, what everyone trusts, and the rotation from one root to the next.
import type { Clock } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import { assembleIssuer, splitPem, type Issuer } from './issuer.ts';
import * as rotation from './rotation.ts';
import type { IssuerRecord, Records } from './rotation.ts';
import { bridge, toRecord } from './issuer-record.ts';
import { createState, readState, removeLeftovers, writeBundle, writeState } from './state.ts';

export interface RootsOptions {
  /** Folder of the state. */
  readonly folder: string;
  /** How long a new root is in the trust bundle before it signs. */
  readonly overlapMs: number;
  /** The longest life of a leaf. */
  readonly leafLifeMs: number;
  /** Makes a self-signed issuer, on first start and for a rotation. */
  readonly create: () => Promise<Issuer>;
  /** The operator's issuer; null where there is none. */
  readonly plugged: Issuer | null;
  readonly clock: Clock;
  readonly log: Log;
}

/** One consistent view: read once for each certificate. */
export interface InForce {
  readonly issuer: Issuer;
  /** What follows a leaf in its chain, PEM. */
  readonly chainPem: string;
  readonly trustBundlePem: string;
}

/** A self-signed root is replaced when this part of its life is left. */
const graceFraction = 0.2;

/** Reads the folder's state, or makes the first. Rejects when the state is damaged or its issuer's key is missing. */
export async function openRoots(options: RootsOptions): Promise<Roots> {
  const { folder, plugged, create, clock, log } = options;
  let records = await readState(folder);
  if (records === null) {
    const issuer = plugged ?? (await create());
    const origin = plugged === null ? 'self-signed' : 'plugged';
    const first = toRecord(issuer, origin, clock.now(), options.leafLifeMs);
    records = [{ ...first, role: 'signing', signingAtMs: clock.now() }];
    try {
      await createState(folder, records);
      log.info({ issuer: issuer.id, origin }, 'first root taken into use');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      return openRoots(options);
    }
  }
  const roots = new Roots(options, records);
  await roots.begin();
  return roots;
}

export class Roots {
  readonly #options: RootsOptions;
  readonly #listeners: (() => void)[] = [];
  /** Keys are here and, for self-signed issuers, in the state; a plugged one's only here. */
  readonly #issuers = new Map<string, Issuer>();
  #records: Records;
  #inForce: InForce | null = null;
  /** Steps run one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: RootsOptions, records: Records) {
    this.#options = options;
    this.#records = records;
    for (const record of records) {
      if (record.keyPem === '') continue;
      const certificates = splitPem(
        record.certificatePem + record.intermediatesPem + record.rootPem,
      );
      this.#issuers.set(record.id, assembleIssuer(record.keyPem, certificates));
    }
  }

  /** Before the first use: takes the operator's issuer into account. */
  async begin(): Promise<void> {
    const { plugged, folder, leafLifeMs } = this.#options;
    await removeLeftovers(folder);
    if (plugged !== null) await this.#adopt(plugged);
    const signing = rotation.byRole(this.#records, 'signing');
    if (signing === undefined || !this.#issuers.has(signing.id)) {
      throw new Error(
        `${folder} was signed for by a plugged issuer (${signing?.id ?? 'unknown'}) whose files are not ` +
          'given: set SELVAGE_CA_ISSUER_*_FILE, or begin anew with an empty SELVAGE_CA_DIR',
      );
    }
    const records = rotation.allowLife(this.#records, leafLifeMs);
    if (records.some((record, index) => record !== this.#records[index])) {
      await writeState(folder, records);
      this.#records = records;
    }
    this.#refresh();
    await writeBundle(folder, this.#records);
  }

  current(): InForce {
    if (this.#inForce === null) throw new Error('begin() comes first');
    return this.#inForce;
  }

  /** For the admin endpoint; without keys. */
  get records(): readonly Omit<IssuerRecord, 'keyPem'>[] {
    return this.#records.map(({ keyPem: _hidden, ...shown }) => shown);
  }

  /** Calls after every change of the signing issuer or of the trust bundle. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Publishes a new self-signed root, or the one given. */
  rotate(next?: Issuer): Promise<void> {
    return this.#step(async () => {
      const origin = next === undefined ? 'self-signed' : 'plugged';
      await this.#publish(next ?? (await this.#options.create()), origin);
    });
  }

  switchSigning(): Promise<void> {
    return this.#step(() => this.#switch());
  }

  drop(force: boolean): Promise<void> {
    return this.#step(async () => {
      await this.#save(rotation.drop(this.#records, this.#options.clock.now(), force));
      this.#options.log.warn({ force }, 'retired root dropped from the trust bundle');
    });
  }

  /** A plugged issuer was read again: the same one changes nothing. */
  adopt(plugged: Issuer): Promise<void> {
    return this.#step(() => this.#adopt(plugged));
  }

  /** What time brings; called now and then. */
  tick(): Promise<void> {
    return this.#step(async () => {
      const { clock, overlapMs, log } = this.#options;
      const step = rotation.due(this.#records, clock.now(), overlapMs);
      if (step === 'switch') await this.#switch();
      if (step === 'drop') {
        const left = this.#records.filter(
          (record) => record.role !== 'retired' || record.rootNotAfterMs > clock.now(),
        );
        await this.#save(left);
        log.info({}, 'expired root dropped from the trust bundle');
      }
      await this.#replaceInGrace();
    });
  }

  #step(step: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(step);
    this.#queue = done.catch(() => {});
    return done;
  }

  async #adopt(plugged: Issuer): Promise<void> {
    const { log } = this.#options;
    const known = this.#records.find((record) => record.id === plugged.id);
    this.#issuers.set(plugged.id, plugged);
    if (known?.role === 'signing' || known?.role === 'published') {
      const signing = rotation.byRole(this.#records, 'signing');
      if (signing !== undefined && this.#issuers.has(signing.id)) return;
      // Restarted in the overlap: the old plugged key is gone, the cross certificate bridges the rest.
      await this.#switch();
      return;
    }
    const signing = rotation.byRole(this.#records, 'signing');
    // A root that never signed is not missed when another one takes its place.
    this.#records = rotation.withdraw(this.#records);
    const sameRoot = this.#records.some((record) => record.rootPem === plugged.rootPem);
    const canWait = signing !== undefined && this.#issuers.has(signing.id);
    await this.#publish(plugged, 'plugged');
    if (sameRoot || !canWait) {
      await this.#switch();
      if (!sameRoot) {
        log.warn(
          { issuer: plugged.id },
          'the issuer was replaced by one of another root while the CA was down: workloads trust it only ' +
            'once they have the new bundle. Reload a running CA instead (SIGHUP or POST /reload)',
        );
      }
    }
  }

  async #publish(issuer: Issuer, origin: IssuerRecord['origin']): Promise<void> {
    const { clock, log, overlapMs, leafLifeMs } = this.#options;
    const signingRecord = rotation.byRole(this.#records, 'signing');
    const signing = signingRecord && this.#issuers.get(signingRecord.id);
    const crossPem = signing === undefined ? '' : await bridge(issuer, signing);
    const record = { ...toRecord(issuer, origin, clock.now(), leafLifeMs), crossPem };
    const records = rotation.publish(this.#records, record);
    this.#issuers.set(issuer.id, issuer);
    await this.#save(records);
    log.info({ issuer: issuer.id, origin, overlapMs }, 'new root published in the trust bundle');
  }

  async #switch(): Promise<void> {
    const { clock, log } = this.#options;
    await this.#save(rotation.switchSigning(this.#records, clock.now()));
    log.info({ issuer: this.current().issuer.id }, 'the new root signs from now on');
  }

  async #replaceInGrace(): Promise<void> {
    const { clock, create, log } = this.#options;
    const signing = rotation.byRole(this.#records, 'signing');
    if (signing === undefined || rotation.byRole(this.#records, 'published') !== undefined) return;
    const { notBeforeMs, notAfterMs } = this.current().issuer;
    const expired = notAfterMs <= clock.now();
    if (notAfterMs - clock.now() > (notAfterMs - notBeforeMs) * graceFraction) return;
    if (signing.origin === 'plugged') {
      log.warn({ notAfter: new Date(notAfterMs).toISOString() }, 'the plugged issuer expires soon');
      return;
    }
    log.info({ notAfter: new Date(notAfterMs).toISOString() }, 'the root expires soon: rotating');
    await this.#publish(await create(), 'self-signed');
    // Nobody trusts an expired root any more: there is nothing to overlap with.
    if (expired) await this.#switch();
  }

  /** Disk first: a root that was handed out must never be forgotten by a crash. */
  async #save(records: Records): Promise<void> {
    const { folder } = this.#options;
    await writeState(folder, records);
    this.#records = records;
    this.#refresh();
    await writeBundle(folder, records);
    for (const listener of this.#listeners) listener();
  }

  #refresh(): void {
    const signing = rotation.byRole(this.#records, 'signing');
    const issuer = signing && this.#issuers.get(signing.id);
    if (signing === undefined || issuer === undefined) return;
    this.#inForce = {
      issuer,
      chainPem: rotation.chainOf(this.#records, signing),
      trustBundlePem: rotation.bundleOf(this.#records),
    };
  }
}
