// Tokens proven by the API server: TokenReview says whether a token is good, for whom, and of which pod.
import { createHash } from 'node:crypto';
import type { Clock } from '#runtime/clock.ts';
import { KubeError, type KubeClient } from '#runtime/kubernetes/client.ts';
import { missingRule } from '#runtime/kubernetes/collection-path.ts';
import type { Log } from '#runtime/log.ts';
import { Refusal } from '../refusal.ts';
import { parseSubject, type Authenticator, type ProvenIdentity } from './authenticator.ts';
import { refuseHopeless } from './claims.ts';

export interface TokenReviewOptions {
  /** With a short limit of time: a sidecar waits 10 s for its certificate. */
  readonly client: KubeClient;
  readonly audience: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** `status` of authentication.k8s.io/v1 TokenReview. */
export interface ReviewStatus {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly error?: string;
  readonly user?: {
    readonly username?: string;
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

interface Proven {
  readonly identity: ProvenIdentity;
  readonly atMs: number;
}

const path = '/apis/authentication.k8s.io/v1/tokenreviews';
/** A pod that was deleted gets certificates for so long at most. */
const keptMs = 10_000;
const keptMax = 10_000;
/** More at once than that would only wait for one another. */
const askingMax = 256;
const extra = 'authentication.kubernetes.io/';

/** The authenticator of a cluster. Only what was proven is kept, and for seconds. */
export class TokenReviews implements Authenticator {
  readonly #options: TokenReviewOptions;
  /** By a hash of the token, oldest first: memory holds no tokens. */
  readonly #proven = new Map<string, Proven>();
  readonly #asking = new Map<string, Promise<ProvenIdentity>>();
  #trouble = false;

  constructor(options: TokenReviewOptions) {
    this.#options = options;
  }

  async authenticate(bearer: string): Promise<ProvenIdentity> {
    const { audience, clock } = this.#options;
    const now = clock.now();
    refuseHopeless(bearer, audience, now);
    const hash = createHash('sha256').update(bearer).digest('base64');
    const known = this.#proven.get(hash);
    if (known !== undefined && Math.abs(now - known.atMs) < keptMs) return known.identity;
    this.#proven.delete(hash);
    const present = this.#asking.get(hash);
    if (present !== undefined) return present;
    if (this.#asking.size >= askingMax) {
      throw new Refusal('keys-unavailable', 'too many tokens are being checked; try again later');
    }
    const asked = this.#ask(bearer, hash).finally(() => this.#asking.delete(hash));
    this.#asking.set(hash, asked);
    return asked;
  }

  async #ask(bearer: string, hash: string): Promise<ProvenIdentity> {
    const { audience, clock } = this.#options;
    const startedAtMs = clock.now();
    const identity = identityOf(await this.#review(bearer), audience);
    this.#proven.set(hash, { identity, atMs: startedAtMs });
    for (const [oldest, { atMs }] of this.#proven) {
      if (this.#proven.size <= keptMax && startedAtMs - atMs < keptMs) break;
      this.#proven.delete(oldest);
    }
    return identity;
  }

  async #review(bearer: string): Promise<ReviewStatus> {
    const { client, audience, log } = this.#options;
    try {
      const review = await client.create<{ readonly status?: ReviewStatus }>(path, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: bearer, audiences: [audience] },
      });
      if (this.#trouble) log.info({}, 'the API server checks tokens again');
      this.#trouble = false;
      return review.status ?? {};
    } catch (error) {
      // Once, not for each sidecar that comes back.
      const forbidden = error instanceof KubeError && error.status === 403;
      const mend = forbidden ? missingRule(path, ['create']) : undefined;
      if (!this.#trouble) log.error({ error, mend }, 'no token can be checked');
      this.#trouble = true;
      throw new Refusal(
        'keys-unavailable',
        'the API server does not check tokens now; try again later',
      );
    }
  }
}

/** Whom a review proves. Throws Refusal. */
export function identityOf(status: ReviewStatus, audience: string): ProvenIdentity {
  if (status.authenticated !== true) {
    const why = (status.error ?? 'no reason given').slice(0, 300).replace(/[^\x20-\x7e]/g, '?');
    throw new Refusal('token-refused', `the API server does not accept the token: ${why}`);
  }
  // An authenticator that knows no audiences says none, and has checked none.
  if (status.audiences?.includes(audience) !== true) {
    throw new Refusal('token-audience', `the token must be for the audience ${audience}`);
  }
  const account = parseSubject(status.user?.username ?? '');
  const [pod = ''] = status.user?.extra?.[`${extra}pod-name`] ?? [];
  const [podUid = ''] = status.user?.extra?.[`${extra}pod-uid`] ?? [];
  if (pod === '' || podUid === '') {
    throw new Refusal(
      'token-unbound',
      'the token is bound to no pod: a projected token of a running pod is wanted',
    );
  }
  return { ...account, pod, podUid };
}
