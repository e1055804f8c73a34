// Who may be called now: the healthy members by level and group, each group with a balancer of its own.
import type { Balancer, Random } from '../balance/balancer.ts';
import { Draw } from '../balance/draw.ts';
import { carries, loadsOf, type Group, type Levels } from './levels.ts';

/** Where some of the calls go. */
interface Target<M> {
  readonly balancer: Balancer<M>;
  readonly weight: number;
}

export interface ArrangementOptions<M> {
  readonly newBalancer: () => Balancer<M>;
  readonly isHealthy: (member: M) => boolean;
  /** A level with less health than this calls everybody, where no other level is whole; 0: never. */
  readonly panicPercent: number;
  readonly random: Random;
}

export class Arrangement<M> {
  readonly #options: ArrangementOptions<M>;
  /** By level and group, so that turns and tables outlive a change of health. */
  readonly #balancers = new Map<string, Balancer<M>>();
  #targets: readonly Target<M>[] = [];
  /** The usual case: nothing to draw. */
  #only: Balancer<M> | null = null;
  #draw: Draw | null = null;

  constructor(options: ArrangementOptions<M>) {
    this.#options = options;
  }

  /** Takes the members anew; called when their places, health or shares change. */
  take(levels: Levels<M>): void {
    const { isHealthy, panicPercent } = this.#options;
    const health = levels.map((groups) => healthOf(groups, isHealthy));
    const capacities = health.map(({ healthy, all }) => carries(healthy, all));
    const whole = capacities.reduce((sum, capacity) => sum + capacity, 0) >= 1;
    const panics = health.map(({ healthy, all }) => !whole && (healthy * 100) / all < panicPercent);
    // Nobody is healthy anywhere: those who panic share all calls.
    const loads = loadsOf(
      capacities.some((capacity) => capacity > 0) ? capacities : panics.map(Number),
    );
    const targets: Target<M>[] = [];
    levels.forEach((groups, level) => {
      const panic = panics[level] === true;
      const chosen = groups.map(({ members, weight, share }) => {
        if (panic) return { some: members, weight };
        const some = members.filter(isHealthy);
        return { some, weight: share ?? weight * carries(some.length, members.length) };
      });
      const sum = chosen.reduce((total, { weight }) => total + weight, 0);
      chosen.forEach(({ some, weight }, group) => {
        if (some.length === 0) return;
        const balancer = this.#balancer(`${level} ${group}`);
        balancer.take(some);
        targets.push({ balancer, weight: ((loads[level] ?? 0) * weight) / sum });
      });
    });
    this.#aim(targets);
  }

  pick(tried: readonly M[], hash: number | null): M | null {
    if (this.#only !== null) return this.#only.pick(tried, hash);
    if (this.#draw === null) return null;
    const index = this.#draw.index(this.#options.random());
    const member = this.#targets[index]!.balancer.pick(tried, hash);
    return member ?? this.#elsewhere(tried, hash);
  }

  /** All of the target were tried: the nearest of the others, even where no call would begin. */
  #elsewhere(tried: readonly M[], hash: number | null): M | null {
    for (const { balancer } of this.#targets) {
      const member = balancer.pick(tried, hash);
      if (member !== null) return member;
    }
    return null;
  }

  #aim(targets: readonly Target<M>[]): void {
    this.#targets = targets;
    this.#only = targets.length === 1 ? targets[0]!.balancer : null;
    const weights = targets.map(({ weight }) => weight);
    this.#draw = targets.length > 1 ? new Draw(weights) : null;
  }

  #balancer(key: string): Balancer<M> {
    const known = this.#balancers.get(key);
    if (known !== undefined) return known;
    const made = this.#options.newBalancer();
    this.#balancers.set(key, made);
    return made;
  }
}

function healthOf<M>(
  groups: readonly Group<M>[],
  isHealthy: (member: M) => boolean,
): { healthy: number; all: number } {
  let [healthy, all] = [0, 0];
  for (const { members } of groups) {
    all += members.length;
    for (const member of members) if (isHealthy(member)) healthy += 1;
  }
  return { healthy, all };
}
