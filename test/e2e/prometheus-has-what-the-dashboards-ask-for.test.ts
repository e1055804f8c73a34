// A mesh with a Prometheus that scrapes all of it: dashboards, alerts, Istio's own panels and Kiali's questions have answers.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { defaultInjection } from '#api/injection/config.ts';
import { createAnswers } from '#injector/answers.ts';
import { createMetrics } from '#injector/metrics.ts';
import type { Admin } from '#runtime/admin.ts';
import { startHealth } from '#runtime/health.ts';
import { silentLog } from '#runtime/log.ts';
import { pod } from '#test/api/injection/pods.ts';
import { reviewOf } from '#test/injector/reviews.ts';
import { alerts, panels, withoutVariables } from '#test/manifests/monitoring.ts';
import { noPrometheus, Prometheus, type Target } from '#test/prometheus.ts';

import { eventually, TestMesh } from './local-mesh.ts';
import { callGrpc, sayTo } from './odd-calls.ts';

interface Asked {
  readonly from: string;
  readonly queries: readonly { panel: string; expr: string; empty?: string }[];
}

const data = join(import.meta.dirname, '../data/monitoring/istio-queries.yaml');
const istio = parse(readFileSync(data, 'utf8')) as readonly Asked[];
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
/** Panels that show what did not happen here. */
const quiet =
  /Calls out of the mesh|Connections refused|Calls without mutual TLS|Lost from view|Time to sign/;
/** Series of theirs that are there only when something was refused. */
const quietQueries = ['selvage_ca_refusals_total', 'selvage_control_refusals_total'];

let mesh: TestMesh;
let prometheus: Prometheus;
const closers: (() => unknown)[] = [];

describe.skipIf(noPrometheus)('Prometheus', () => {
  beforeAll(async () => {
    const collector = createServer(
      (request, response) => void request.resume().on('end', () => response.end('{}')),
    );
    await once(collector.listen(0, '127.0.0.1'), 'listening');
    closers.push(() => collector.close().closeAllConnections());
    const otlp = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
    mesh = await TestMesh.start(join(import.meta.dirname, 'data/observed'), otlp);
    closers.push(() => mesh.stop());
    mesh.running.follow();
    const injector = await startInjectorPage();
    closers.push(() => injector?.close());
    prometheus = await Prometheus.start(targetsOf(mesh, injector?.port ?? 0));
    closers.push(() => prometheus.close());
    let going = true;
    const happening = everythingHappens(() => going);
    // Told by its closer; until then it must not end the run with the mesh still there.
    happening.catch(() => undefined);
    closers.push(() => {
      going = false;
      return happening;
    });
  });
  afterAll(async () => {
    // One that fails must leave nothing of the others running.
    const failed: unknown[] = [];
    for (const close of closers.toReversed()) {
      await Promise.resolve(close()).catch((error: unknown) => failed.push(error));
    }
    if (failed.length > 0) throw new AggregateError(failed, 'not all of it ended well');
  });

  test('it can read every page, which is OpenMetrics to it', async () => {
    await expect.poll(() => prometheus.troubles()).toEqual([]);
  });

  test('every panel has something to show', async () => {
    const loud = panels
      .filter(({ panel }) => !quiet.test(panel))
      .filter(({ expr }) => !quietQueries.some((name) => expr.includes(name)))
      .map(({ panel, expr }) => {
        // What a workload is asked, and what it asks, are two workloads here.
        const asks = /reporter="source"|selvage_(?:endpoints|upstream|circuit)/.test(expr);
        const workload = asks ? 'client' : 'till';
        return { panel, expr: withoutVariables(expr, { namespace: 'site', workload }) };
      });
    expect(await withoutData(loud)).toEqual([]);
  });

  test('every panel and every alert can be evaluated', async () => {
    const all = [...panels, ...alerts].map(({ expr }) => withoutVariables(expr));
    await expect(Promise.all(all.map((expr) => prometheus.query(expr)))).resolves.toHaveLength(
      all.length,
    );
  });

  test.each(istio)("$from of Istio's world has its answers", async ({ queries }) => {
    expect(await withoutData(queries.filter(({ empty }) => empty === undefined))).toEqual([]);
  });

  test('what stays empty of it is known, with what says it in its stead', async () => {
    const silent = istio.flatMap(({ queries }) => queries.filter(({ empty }) => empty));
    const answers = await Promise.all(silent.map(({ expr }) => prometheus.query(expr)));
    expect(answers.flat()).toEqual([]);
    const instead = silent.flatMap(({ empty }) => empty?.match(/\b[a-z]+_[a-z_]+\b/g) ?? []);
    const shown = instead.map((name) => ({
      panel: name,
      expr: name.endsWith('_duration_seconds') ? `${name}_count` : name,
    }));
    expect(await withoutData(shown)).toEqual([]);
  });

  test('a call that was sampled is the exemplar of its bucket', async () => {
    const buckets = 'istio_request_duration_milliseconds_bucket{reporter="destination"}';
    await expect.poll(() => prometheus.exemplars(buckets)).toContain(traceId);
  });

  test('a Telemetry resource cuts a label, of the metric that it names', async () => {
    const [cut] = await hasData('istio_request_bytes_count{reporter="destination"}');
    expect(cut?.metric).not.toHaveProperty('response_flags');
    const [whole] = await hasData('istio_requests_total{reporter="destination"}');
    expect(whole?.metric).toHaveProperty('response_flags', '-');
  });

  test('the rule that denied is counted, and the time that a change takes', async () => {
    const denied = 'selvage_policy_decisions_total{decision="deny", policy="no-admin", rule="0"}';
    const [sample] = await hasData(denied);
    expect(sample?.value).toBeGreaterThanOrEqual(1);
    const [lag] = await hasData('selvage_control_lag_seconds_count > 0');
    expect(lag?.value).toBeGreaterThan(0);
  });
});

/** Waits: a rate needs two scrapes, and what it counts has to happen. @returns the panels that stay empty */
async function withoutData(asked: readonly { panel: string; expr: string }[]): Promise<string[]> {
  const deadline = performance.now() + 20_000;
  let left = asked;
  for (;;) {
    const answers = await Promise.all(left.map(({ expr }) => prometheus.query(expr)));
    left = left.filter((_, i) => answers[i]?.every(({ value }) => Number.isNaN(value)) === true);
    if (left.length === 0 || performance.now() > deadline) break;
    const before = await scrapes();
    await eventually(scrapes, (count) => count > before);
  }
  return left.map(({ panel, expr }) => `${panel}: ${expr}`);
}

async function hasData(expr: string): ReturnType<Prometheus['query']> {
  return eventually(
    () => prometheus.query(expr),
    (samples) => samples.length > 0,
  );
}

/** The injector's own page; a local mesh has none. */
async function startInjectorPage(): Promise<Admin | null> {
  const metrics = createMetrics(() => Date.now() + 3_600_000);
  const config = defaultInjection('1.2.3');
  const answer = createAnswers({ config, metrics, log: silentLog });
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'a', namespace: 'shop' },
    spec: { action: 'DENY' },
  };
  const page = await startHealth(
    { host: '127.0.0.1', port: 0 },
    {
      ready: () => true,
      readyWhen: 'asked',
      metrics: () => {
        // Each scrape sees something new.
        for (const [path, object] of [
          ['/inject', pod()],
          ['/validate', policy],
        ] as const) {
          answer(path, reviewOf(object));
        }
        return metrics.render();
      },
    },
  );
  return page;
}

function targetsOf({ running }: TestMesh, injectorPort: number): Target[] {
  const path = '/stats/prometheus';
  const part = (name: string, port: number, at = path): Target => ({
    port,
    path: at,
    labels: { part: name, pod: `selvage-${name}-0`, namespace: 'selvage-system' },
  });
  const sidecars = running.pods.map(({ name, namespace, sidecar }) => ({
    port: sidecar?.admin ?? 0,
    path,
    // As in a cluster, where a Deployment's pods are called after it.
    labels: { pod: name.includes('-') ? name : `${name}-0`, namespace },
  }));
  return [
    part('ca', running.caAdminPort),
    part('control', running.controlAdminPort),
    part('injector', injectorPort, '/metrics'),
    ...sidecars,
  ];
}

/** Calls of every kind, again and again while Prometheus looks: a rate is of what changes. */
async function everythingHappens(going: () => boolean): Promise<void> {
  for (let round = 0; going(); round += 1) {
    const before = await scrapes();
    await callAll();
    await writeFile(join(mesh.folder, 'more.yaml'), policyOf(round));
    await eventually(scrapes, (count) => count > before || !going());
  }
}

async function callAll(): Promise<void> {
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
  for (const path of ['/', '/status/404', '/status/503', '/admin']) {
    await mesh.call('client', 'POST', `http://till.site${path}`, [['traceparent', traceparent]]);
  }
  const { bytesPorts, sidecar } = mesh.pod('client');
  expect(await sayTo(bytesPorts[0]?.listen ?? 0, 'hello')).toBe('HELLO');
  expect(await callGrpc(sidecar?.outbound ?? 0, 'till.site')).toBe(200);
}

/** Of the page that is scraped last. */
async function scrapes(): Promise<number> {
  const [sample] = await prometheus.query('sum(count_over_time(up{part="control"}[10m]))');
  return sample?.value ?? 0;
}

/** A change that sidecars have to enforce. */
function policyOf(round: number): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: more, namespace: site }
spec:
  selector: { matchLabels: { app: till } }
  action: DENY
  rules:
    - to: [{ operation: { ports: ["8080"], paths: ["/round-${round}"] } }]
`;
}
