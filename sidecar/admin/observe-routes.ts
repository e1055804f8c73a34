// The admin endpoint's routes about calls: why one failed, what passes by, who calls whom, what would become of one.
import { jsonReply, takesJson, type AdminReply, type AdminRoute } from '#runtime/admin.ts';

import type { InForce } from '../in-force.ts';
import { tapsMax, type Observed, type OpenTap } from '../observe/observed.ts';
import { recentMax } from '../observe/recent.ts';
import { readTapQuery } from '../observe/tap-filter.ts';

export function observeRoutes(observed: Observed, inForce: InForce): AdminRoute[] {
  return [
    route('GET', '/why', '?id=ID: the failure with that x-selvage-id', (query) =>
      why(observed, query.get('id') ?? ''),
    ),
    route(
      'GET',
      '/recent',
      `?limit=N&verdict=deny: the last refusals and failures, newest first; ${recentMax} are kept`,
      (query) => recent(observed, query),
    ),
    route(
      'GET',
      '/tap',
      '?direction=&method=&path=PREFIX*&status=4xx&identity=GLOB&limit=N&facts=1: calls as they end',
      (query) => tap(observed, query),
    ),
    route('GET', '/edges', 'who calls whom, how often, with what success', async () =>
      jsonReply(await observed.edges()),
    ),
    route('GET', '/limits', 'rate limits in force and how they are used', async () =>
      jsonReply(await observed.limits()),
    ),
    route(
      'POST',
      '/explain',
      '{"port", "method", "path", "authority", "headers", "identities", …}: what would become of a call',
      takesJson((body) => explain(inForce, body)),
    ),
  ];
}

function route(
  method: AdminRoute['method'],
  path: string,
  doc: string,
  handler: AdminRoute['handler'],
): AdminRoute {
  return { method, path, doc, handler };
}

async function why(observed: Observed, id: string): Promise<AdminReply> {
  if (id === '') return refused('say which: ?id=ID, the value of x-selvage-id');
  const json = await observed.why(id);
  if (json !== null) return jsonReply(JSON.parse(json) as unknown);
  const error = `this sidecar knows of no failure ${id}: it keeps its last ${recentMax}, and loses them when it ends`;
  return jsonReply({ error }, 404);
}

async function recent(observed: Observed, query: URLSearchParams): Promise<AdminReply> {
  const limit = query.get('limit') ?? String(recentMax);
  const verdict = query.get('verdict');
  if (!/^[1-9]\d{0,8}$/.test(limit)) return refused('limit is a whole number from 1');
  if (verdict !== null && verdict !== 'allow' && verdict !== 'deny') {
    return refused('verdict is allow or deny');
  }
  const records = await observed.recent(Number(limit), verdict);
  return { type: 'application/json', body: `[${records.join(',\n')}]\n` };
}

async function tap(observed: Observed, query: URLSearchParams): Promise<AdminReply> {
  const read = readTapQuery(query);
  if (typeof read === 'string') return refused(read);
  const open = await observed.tap(read.filter);
  if (open === null) {
    return jsonReply({ error: `there are ${tapsMax} taps already; end one of them` }, 429);
  }
  return {
    type: 'application/x-ndjson',
    body: '',
    more: (signal) => linesOf(open, read.limit, signal),
  };
}

async function* linesOf(
  open: OpenTap,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<string, void, void> {
  const close = (): void => open.close();
  signal.addEventListener('abort', close);
  if (signal.aborted) close();
  try {
    for (let left = limit; left > 0;) {
      const taken = await open.queue.take();
      if (taken === null) return;
      const lines = taken.lines.slice(0, left);
      left -= lines.length;
      const dropped = taken.dropped === 0 ? [] : [`{"dropped":${taken.dropped}}`];
      yield `${[...lines, ...dropped].join('\n')}\n`;
    }
  } finally {
    close();
  }
}

async function explain(inForce: InForce, body: unknown): Promise<AdminReply> {
  // Loaded when it is first asked for: nothing of it is on the request path.
  const { explainCall, readAskedCall } = await import('../observe/explain.ts');
  const asked = readAskedCall(body);
  if (typeof asked === 'string') return refused(asked);
  const enforced = inForce.current();
  if (enforced === null) return jsonReply({ error: 'no snapshot is in force yet' }, 503);
  return jsonReply(await explainCall(enforced, asked));
}

function refused(error: string): AdminReply {
  return jsonReply({ error }, 400);
}
