// How long it takes to find the route of a request among 1 to 1,000 of a host: `node test/bench/routing.ts`.
import type { HttpRoute, RouteMatch } from '#api/traffic/route.ts';
import { compileGroup } from '#sidecar/routing/compile-group.ts';
import { prepareRegexes } from '#sidecar/routing/regex.ts';

import { makeGroup, makeRequest, makeRoute } from '../sidecar/routing/models.ts';

const rounds = 2_000_000;
/** Paths are new strings in each request, as the parser makes them. */
const requestCount = 64;

type MakeMatch = (i: number) => RouteMatch;

const exact: MakeMatch = (i) => ({ path: { kind: 'exact', value: `/api/service/${i}` } });
const prefix: MakeMatch = (i) => ({ path: { kind: 'prefix', value: `/api/service/${i}/` } });
const regex: MakeMatch = (i) => ({ path: { kind: 'regex', value: `/api/s${i}x/[0-9]+` } });
const header: MakeMatch = (i) => ({
  ...prefix(i),
  method: { kind: 'exact', value: 'GET' },
  headers: [{ name: 'x-user', match: { kind: 'exact', value: 'u1' } }],
});

const cases: [what: string, count: number, match: MakeMatch, path: string][] = [
  ['exact', 1, exact, '/api/service/0?q=1'],
  ['exact', 10, exact, '/api/service/9?q=1'],
  ['exact', 1000, exact, '/api/service/999?q=1'],
  ['prefix', 1, prefix, '/api/service/0/x?q=1'],
  ['prefix', 10, prefix, '/api/service/9/x?q=1'],
  ['prefix', 1000, prefix, '/api/service/999/x?q=1'],
  ['prefix, method, header', 1000, header, '/api/service/999/x?q=1'],
  ['regex', 1, regex, '/api/s0x/12'],
  ['regex', 1000, regex, '/api/s999x/12'],
  ['none of them', 1000, prefix, '/elsewhere'],
];

async function main(): Promise<void> {
  const rows = [];
  for (const [what, count, match, path] of cases) {
    rows.push({
      what,
      routes: count,
      'ns / request': (await measure(count, match, path)).toFixed(0),
    });
  }
  console.table(rows);
}

async function measure(count: number, match: MakeMatch, path: string): Promise<number> {
  const routes = Array.from({ length: count }, (_, i): HttpRoute =>
    makeRoute({ matches: [match(i)] }),
  );
  const group = makeGroup(routes);
  const compiled = compileGroup(group, await prepareRegexes({ routes: [group] }), (problem) => {
    throw new Error(problem);
  });
  const requests = Array.from({ length: requestCount }, () =>
    makeRequest({ path: Buffer.from(path).toString('latin1'), headers: [['x-user', 'u1']] }),
  );
  let found = 0;
  const run = (times: number): void => {
    for (let i = 0; i < times; i++) {
      const request = requests[i % requestCount];
      if (request !== undefined && compiled.route(request) !== null) found++;
    }
  };
  run(rounds / 10);
  // Time on the processor: others may use the machine too.
  const from = process.threadCpuUsage();
  run(rounds);
  const spent = process.threadCpuUsage(from);
  const ns = ((spent.user + spent.system) * 1000) / rounds;
  if (found !== 0 && found !== rounds * 1.1) throw new Error('a route was not always found');
  return ns;
}

if (import.meta.main) await main();
