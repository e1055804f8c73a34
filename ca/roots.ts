// The roots in force: what signs now, what everyone trusts, and the rotation from one root to the next.
import type { Clock } from '#runtime/clock.ts';
import type { Log } from '#runtime/log.ts';
import { Issuers, viewOf, type InForce } from './in-force.ts';
import type { Issuer } from './issuer.ts';
import * as rotation from './rotation.ts';
import type { IssuerRecord, Records } from './rotation.ts';
import { bridge, toRecord } from './issuer-record.ts';
import { DamagedState, StoreConflict, type RootStore, type Stored } from './stores/store.ts';

export interface RootsOptions {
  readonly store: RootStore;
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

/** How often a step is decided anew because another CA changed the store meanwhile. */
const conflictsMax = 10;

/** Reads the store, or makes its first content. Rejects when it is damaged or its issuer's key is missing. */
export async function openRoots(options: RootsOptions): Promise<Roots> {
  const { store, log } = options;
  for (let conflicts = 0; ; conflicts += 1) {
    try {
      const stored = (await store.read()) ?? (await createFirst(options));
      const roots = new Roots(options, stored);
      await roots.begin();
      return roots;
    } catch (error) {
      if (!(error instanceof StoreConflict) || conflicts === conflictsMax) throw error;
      log.info({ place: store.place }, 'another CA was faster to make the first root: taking its');
    }
  }
}

async function createFirst(options: RootsOptions): Promise<Stored> {
  const { store, plugged, create, clock, log } = options;
  const issuer = plugged ?? (await create());
  const origin = plugged === null ? 'self-signed' : 'plugged';
  const record = toRecord(issuer, origin, clock.now(), options.leafLifeMs);
  const stored = await store.create(rotation.switchSigning([record], clock.now()));
  log.info({ issuer: issuer.id, origin }, 'first root taken into use');
  return stored;
}

export class Roots {
  readonly #options: RootsOptions;
  readonly #listeners: (() => void)[] = [];
  readonly #issuers = new Issuers();
  #stored: Stored;
  #inForce: InForce | null = null;
  /** When the store was last seen, on the wall clock. */
  #seenAtMs: number;
  /** Steps run one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: RootsOptions, stored: Stored) {
    this.#options = options;
    this.#stored = stored;
    this.#seenAtMs = options.clock.now();
    this.#issuers.take(stored.records);
  }

  /** Before the first use: takes the operator's issuer into account. */
  async begin(): Promise<void> {
    const { plugged, store, leafLifeMs } = this.#options;
    await this.#step(async () => {
      if (plugged !== null) await this.#adopt(plugged);
      const signing = rotation.byRole(this.#records, 'signing');
      if (signing === undefined || this.#issuers.get(signing.id) === undefined) {
        throw new Error(
          `${store.place} was signed for by a plugged issuer (${signing?.id ?? 'unknown'}) that is not ` +
            'given: give it again (SELVAGE_CA_ISSUER_*_FILE, Secret cacerts), or begin anew without the state',
        );
      }
      const records = rotation.allowLife(this.#records, leafLifeMs);
      if (records.some((record, index) => record !== this.#records[index])) {
        this.#stored = await store.replace(records, this.#stored.version);
      }
    });
    this.#refresh();
    await store.tell(this.#records);
  }

  current(): InForce {
    if (this.#inForce === null) throw new Error('begin() comes first');
    return this.#inForce;
  }

  /** Whether the store was seen lately, so that what others changed is known here. */
  get upToDate(): boolean {
    const { store, clock } = this.#options;
    return store.followMs === 0 || clock.now() - this.#seenAtMs < store.followMs;
  }

  get #records(): Records {
    return this.#stored.records;
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

  /** Takes over what another CA has changed; makes the store again where somebody deleted it. */
  follow(): Promise<void> {
    return this.#step(async () => {
      const { store, log } = this.#options;
      const stored = await this.#look();
      if (stored === null) {
        this.#stored = await store.create(this.#records);
        log.warn({}, `${store.place} was deleted; made again from memory`);
      } else if (stored.version !== this.#stored.version) {
        await this.#take(stored);
        log.info({ issuer: this.current().issuer.id }, `${store.place} was changed: followed`);
      }
    });
  }

  /** A damaged store was seen too: nobody else can go on from it, so nothing newer than ours is in force. */
  async #look(): Promise<Stored | null> {
    const { store, clock } = this.#options;
    try {
      const stored = await store.read();
      this.#seenAtMs = clock.now();
      return stored;
    } catch (error) {
      if (error instanceof DamagedState) this.#seenAtMs = clock.now();
      throw error;
    }
  }

  #step(step: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(() => this.#decideAnew(step));
    this.#queue = done.catch(() => {});
    return done;
  }

  /** What was decided on records that another CA has changed meanwhile is decided again on the new ones. */
  async #decideAnew(step: () => Promise<void>): Promise<void> {
    for (let conflicts = 0; ; conflicts += 1) {
      try {
        await step();
        return;
      } catch (error) {
        if (!(error instanceof StoreConflict) || conflicts === conflictsMax) throw error;
        const stored = await this.#options.store.read();
        if (stored !== null) await this.#take(stored);
      }
    }
  }

  async #adopt(plugged: Issuer): Promise<void> {
    const { log } = this.#options;
    const known = this.#records.find((record) => record.id === plugged.id);
    const signing = rotation.byRole(this.#records, 'signing');
    this.#issuers.add(plugged);
    const canWait = this.#issuers.get(signing?.id) !== undefined;
    if (known?.role === 'signing') {
      await this.#withdrawOther(plugged);
      return;
    }
    if (known?.role === 'published') {
      // Restarted in the overlap: the old plugged key is gone, the cross certificate bridges the rest.
      if (!canWait) await this.#switch();
      return;
    }
    const sameRoot = this.#records.some((record) => record.rootPem === plugged.rootPem);
    // A root that never signed is not missed when another one takes its place.
    await this.#publish(plugged, 'plugged', rotation.withdraw(this.#records));
    if (!sameRoot && canWait) return;
    await this.#switch();
    if (!sameRoot) {
      log.warn(
        { issuer: plugged.id },
        'the issuer was replaced by one of another root while the CA was down: workloads trust it only ' +
          'once they have the new bundle. Replace it under a running CA instead',
      );
    }
  }

  /** The operator went back to the issuer that signs: the one that was to follow must not take over. */
  async #withdrawOther(plugged: Issuer): Promise<void> {
    const waiting = rotation.byRole(this.#records, 'published');
    if (waiting?.origin !== 'plugged') return;
    await this.#save(rotation.withdraw(this.#records));
    this.#options.log.warn({ issuer: plugged.id, withdrawn: waiting.id }, 'new root taken back');
  }

  async #publish(
    issuer: Issuer,
    origin: IssuerRecord['origin'],
    present: Records = this.#records,
  ): Promise<void> {
    const { clock, log, overlapMs, leafLifeMs } = this.#options;
    const signing = this.#issuers.get(rotation.byRole(present, 'signing')?.id);
    const crossPem = signing === undefined ? '' : await bridge(issuer, signing);
    const record = { ...toRecord(issuer, origin, clock.now(), leafLifeMs), crossPem };
    const records = rotation.publish(present, record);
    this.#issuers.add(issuer);
    await this.#save(records);
    log.info({ issuer: issuer.id, origin, overlapMs }, 'new root published in the trust bundle');
  }

  async #switch(): Promise<void> {
    const { clock, log, store } = this.#options;
    await this.#save(rotation.switchSigning(this.#records, clock.now(), store.followMs));
    log.info({ issuer: this.current().issuer.id }, 'the new root signs from now on');
  }

  async #replaceInGrace(): Promise<void> {
    const { clock, create, log } = this.#options;
    const signing = rotation.byRole(this.#records, 'signing');
    if (signing === undefined || rotation.byRole(this.#records, 'published') !== undefined) return;
    const { notAfterMs } = this.current().issuer;
    if (!rotation.isInGrace(this.current().issuer, clock.now())) return;
    if (signing.origin === 'plugged') {
      log.warn({ notAfter: new Date(notAfterMs).toISOString() }, 'the plugged issuer expires soon');
      return;
    }
    log.info({ notAfter: new Date(notAfterMs).toISOString() }, 'the root expires soon: rotating');
    await this.#publish(await create(), 'self-signed');
    // Nobody trusts an expired root any more: there is nothing to overlap with.
    if (notAfterMs <= clock.now()) await this.#switch();
  }

  /** The store first: a root that was handed out must never be forgotten by a crash. */
  async #save(records: Records): Promise<void> {
    await this.#take(await this.#options.store.replace(records, this.#stored.version));
  }

  async #take(stored: Stored): Promise<void> {
    this.#issuers.take(stored.records);
    this.#stored = stored;
    this.#seenAtMs = this.#options.clock.now();
    this.#refresh();
    await this.#options.store.tell(stored.records);
    for (const listener of this.#listeners) listener();
  }

  #refresh(): void {
    this.#inForce = viewOf(this.#records, this.#issuers, this.#inForce);
  }
}
