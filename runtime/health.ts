// The health port of a process: what kubelet and Prometheus may reach from outside, and nothing else of the admin endpoint.
import { type Admin, type AdminReply, type AdminRoute, startAdmin } from './admin.ts';
import type { Address } from './setting-types.ts';

export interface Health {
  readonly ready: () => boolean;
  /** When it is ready: `able to sign`. */
  readonly readyWhen: string;
  /** Null: there is nothing to count yet. */
  readonly metrics: () => Promise<AdminReply> | null;
}

/** Listens before the process is ready; @param address null: health is told on the admin port only */
export async function startHealth(address: Address | null, health: Health): Promise<Admin | null> {
  return address === null ? null : startAdmin({ ...address, routes: healthRoutes(health) });
}

/** Liveness says only that there is a process: one that waits for the API server or its CA must not be killed. */
export function healthRoutes({ ready, readyWhen, metrics }: Health): AdminRoute[] {
  return [
    get('/healthz/ready', `200 when ${readyWhen}`, () =>
      ready() ? { body: 'ready\n' } : { status: 503, body: `not ready, not ${readyWhen}\n` },
    ),
    get('/healthz/live', '200', () => ({ body: 'alive\n' })),
    get('/metrics', 'for Prometheus', () => metrics() ?? { status: 503, body: 'not begun\n' }),
  ];
}

function get(path: string, doc: string, handler: AdminRoute['handler']): AdminRoute {
  return { method: 'GET', path, doc, handler };
}
