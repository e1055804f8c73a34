// The CA's admin endpoint: health, metrics, and the rotation of the root.
import { jsonReply, type AdminReply, type AdminRoute } from '#runtime/admin.ts';
import type { CaMetrics } from './metrics.ts';
import { RotationError } from './rotation.ts';
import type { Roots } from './roots.ts';

export interface AdminParts {
  readonly roots: Roots;
  readonly metrics: CaMetrics;
  readonly reload: () => Promise<void>;
  /** Able to sign. */
  readonly ready: () => boolean;
}

export function adminRoutes({ roots, metrics, reload, ready }: AdminParts): AdminRoute[] {
  return [
    { method: 'GET', path: '/healthz', doc: 'alive', handler: () => ({ body: 'ok\n' }) },
    {
      method: 'GET',
      path: '/ready',
      doc: 'able to sign',
      handler: () => readiness(ready()),
    },
    {
      method: 'GET',
      path: '/stats/prometheus',
      doc: 'metrics',
      handler: () => metrics.render(),
    },
    {
      method: 'GET',
      path: '/roots',
      doc: 'every root and its phase',
      handler: () => jsonReply(describeRoots(roots)),
    },
    {
      method: 'POST',
      path: '/rotate',
      doc: 'step=publish (default) | switch | drop [force=true]: the root moves on by one phase',
      loopbackOnly: true,
      handler: (query) => rotate(roots, query),
    },
    {
      method: 'POST',
      path: '/reload',
      doc: "reads the operator's issuer again",
      loopbackOnly: true,
      handler: async () => {
        try {
          await reload();
          return jsonReply(describeRoots(roots));
        } catch (error) {
          return problem(422, error);
        }
      },
    },
  ];
}

function readiness(ready: boolean): AdminReply {
  return ready
    ? { body: 'ready\n' }
    : {
        status: 503,
        body: 'not ready: the issuer has expired, or the roots cannot be read\n',
      };
}

async function rotate(roots: Roots, query: URLSearchParams): Promise<AdminReply> {
  const step = query.get('step') ?? 'publish';
  try {
    if (step === 'publish') await roots.rotate();
    else if (step === 'switch') await roots.switchSigning();
    else if (step === 'drop') await roots.drop(query.get('force') === 'true');
    else return { status: 400, body: 'step is publish, switch or drop\n' };
    return jsonReply(describeRoots(roots));
  } catch (error) {
    if (error instanceof RotationError) return problem(409, error);
    throw error;
  }
}

function problem(status: number, error: unknown): AdminReply {
  return { status, body: `${error instanceof Error ? error.message : String(error)}\n` };
}

function describeRoots(roots: Roots): unknown {
  return roots.records.map((record) => ({
    id: record.id,
    origin: record.origin,
    role: record.role,
    publishedAt: time(record.publishedAtMs),
    signingAt: time(record.signingAtMs),
    rootNotAfter: time(record.rootNotAfterMs),
    leavesEnd: time(record.leavesEndMs),
    bridged: record.crossPem !== '',
  }));
}

function time(ms: number): string {
  return ms === 0 ? '' : new Date(ms).toISOString();
}
