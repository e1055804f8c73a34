// manifests/overlays/monitoring: rules that Prometheus takes, over metrics that there are, which fire when they should.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';

import { commands } from '#cli/commands.ts';

import { alerts, dashboards, overlayFile, panels, withoutVariables } from './monitoring.ts';

const read = overlayFile;
const shown = panels.map(({ expr }) => expr);

const root = join(import.meta.dirname, '../..');

test('alerts and dashboards ask for metrics that a process of the mesh has', () => {
  const code = ['ca', 'control', 'injector', 'sidecar']
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
  // The prefix of control's counters is written once.
  const known = (name: string): boolean =>
    code.includes(`'${name}'`) || code.includes(`'${name.replace('selvage_control_', '')}'`);
  const asked = [...alerts.map(({ expr }) => expr), ...shown]
    .flatMap((expr) => expr.match(/\b(?:selvage|istio)_[a-z_]+\b/g) ?? [])
    .map((name) => name.replace(/_bucket$/, ''))
    .filter((name) => name !== 'selvage_');
  expect(new Set(asked).size).toBeGreaterThan(30);
  expect([...new Set(asked)].filter((name) => !known(name))).toEqual([]);
});

test('a panel is titled, described and asks something, and its place is its own', () => {
  for (const { panels: own } of dashboards) {
    const places = new Set<string>();
    for (const { title, description, targets, gridPos } of own) {
      expect(title).not.toBe('');
      expect(description).not.toBe('');
      expect(targets.length).toBeGreaterThan(0);
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      places.add(`${gridPos.x} ${gridPos.y}`);
    }
    expect(places.size).toBe(own.length);
  }
  expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
});

test('every alert says what it is, how grave, and which command that there is to run', () => {
  for (const { alert, labels, annotations } of alerts) {
    const { summary = '', description = '', runbook = '' } = annotations;
    expect(summary, alert).toMatch(/\.$/);
    expect(description, alert).toMatch(/\.$/);
    expect(labels.severity, alert).toMatch(/^(?:critical|warning)$/);
    const named = [...runbook.matchAll(/\bselvage (\w+)/g)].map(([, name]) => name);
    expect(named.length, alert).toBeGreaterThan(0);
    expect(named.filter((name) => commands[name ?? ''] === undefined)).toEqual([]);
  }
});

const noPromtool = spawnSync('promtool', ['--version']).status !== 0;
if (noPromtool) console.log("skipped: there is no promtool here (Debian's package prometheus)");

describe.skipIf(noPromtool)('promtool', () => {
  const folder = mkdtempSync(join(tmpdir(), 'selvage-monitoring-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  function promtool(command: string, ...files: readonly (readonly [string, string])[]): string {
    for (const [name, text] of files) writeFileSync(join(folder, name), text);
    const args = [...command.split(' '), files.at(-1)?.[0] ?? ''];
    const { stdout, stderr } = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8' });
    return stdout + stderr;
  }

  test('it takes the configuration and the alerts', () => {
    // Debian's is built without Kubernetes: its part is taken out, and the rest is looked at.
    const text = read('scrape.yml').replace(/kubernetes_sd_configs:\n\s+- role: pod/, '');
    expect(text).not.toBe(read('scrape.yml'));
    const files = [
      ['alerts.yml', read('alerts.yml')],
      ['scrape.yml', text],
    ] as const;
    expect(promtool('check config', ...files)).toContain(`SUCCESS: ${alerts.length} rules found`);
  });

  test('it reads every expression of the dashboards', () => {
    const rules = shown.map((expr, index) => ({
      record: `panel_${index}`,
      expr: withoutVariables(expr),
    }));
    const text = stringify({ groups: [{ name: 'dashboard', rules }] });
    expect(promtool('check rules', ['dashboard.yml', text])).toContain(
      `SUCCESS: ${shown.length} rules found`,
    );
  });

  const up = (part: string, values: string): object => ({
    series: `up{part="${part}",pod="selvage-${part}-a"}`,
    values,
  });
  /** A mesh whose parts answer, but for what the case says. */
  const running = (told: readonly object[]): object[] => {
    const parts = ['ca', 'control', 'injector'].filter(
      (part) => !JSON.stringify(told).includes(`selvage-${part}-a`),
    );
    return [...parts.map((part) => up(part, '1x120')), ...told];
  };
  const series = (name: string, labels: string, values: string): object => ({
    series: `${name}{${labels}}`,
    values,
  });
  const pay = 'destination_workload="pay",destination_workload_namespace="shop"';
  const paid = 'destination_service_name="pay",destination_service_namespace="shop"';
  const calls = (code: string, values: string, reporter = 'destination'): object =>
    series(
      'istio_requests_total',
      `reporter="${reporter}",response_code="${code}",${pay},${paid}`,
      values,
    );
  const slow = (le: string, values: string): object =>
    series(
      'istio_request_duration_milliseconds_bucket',
      `reporter="destination",le="${le}",${pay}`,
      values,
    );
  const expiry = 'certificate_expiry_timestamp_seconds';
  const pod = 'namespace="shop",pod="pay-1"';
  const fired: string[] = [];
  test.each<[string, object[], string[]]>([
    ['a mesh that runs', [], []],
    ['control away', [up('control', '0x120')], ['SelvageControlDown']],
    ['both replicas of the CA down', [up('ca', '0x120')], ['SelvageCaDown']],
    ['the injector down', [up('injector', '0x120')], ['SelvageInjectorDown']],
    [
      'sidecars that stay behind',
      [series('selvage_control_sidecars_behind', '', '2x120')],
      ['SelvageSidecarsBehind'],
    ],
    [
      'sidecars that are behind for a moment',
      [series('selvage_control_sidecars_behind', '', '0x115 2x5')],
      [],
    ],
    [
      'a sidecar without control',
      [series('selvage_control_connected', pod, '0x120')],
      ['SelvageSidecarsWithoutControl'],
    ],
    ['sidecars with control', [series('selvage_control_connected', pod, '1x120')], []],
    [
      'changes that take long',
      [
        series('selvage_control_lag_seconds_bucket', 'le="10"', '0x120'),
        series('selvage_control_lag_seconds_bucket', 'le="30"', '0+10x120'),
        series('selvage_control_lag_seconds_bucket', 'le="+Inf"', '0+10x120'),
      ],
      ['SelvageEnforcementSlow'],
    ],
    [
      'an update that was refused',
      [series('selvage_control_nacks_total', '', '0x115 1x5')],
      ['SelvageUpdatesRefused'],
    ],
    [
      'a resource with a mistake',
      [series('selvage_control_problems', 'severity="error"', '1x120')],
      ['SelvageResourcesInvalid'],
    ],
    [
      'a certificate that is not renewed',
      [series(`selvage_control_${expiry}`, 'part="control",pod="a"', '8000x120')],
      ['SelvageCertificateNearEnd'],
    ],
    [
      'a certificate of a sidecar that is not renewed',
      [series(`selvage_${expiry}`, pod, '8000x120')],
      ['SelvageSidecarCertificateNearEnd'],
    ],
    [
      'an issuer that ends',
      [series('selvage_ca_issuer_expiry_timestamp_seconds', '', '8000x120')],
      ['SelvageIssuerNearEnd'],
    ],
    ['a few denials', [calls('403', '0+6x120')], []],
    ['denials that rise', [calls('403', '0+6x100 1000+600x20')], ['SelvageDenialsRise']],
    ['calls that fail', [calls('200', '0+90x120'), calls('503', '0+10x120')], ['SelvageCallsFail']],
    ['a failure now and then', [calls('200', '0+990x120'), calls('503', '0+10x120')], []],
    [
      'calls that are slow',
      [
        calls('200', '0+60x120'),
        slow('2500', '0+30x120'),
        slow('5000', '0+60x120'),
        slow('+Inf', '0+60x120'),
      ],
      ['SelvageCallsSlow'],
    ],
    [
      'calls that are fast',
      [calls('200', '0+60x120'), slow('2500', '0+60x120'), slow('+Inf', '0+60x120')],
      [],
    ],
    [
      'a CA that refuses',
      [series('selvage_ca_refusals_total', 'code="x"', '0+30x120')],
      ['SelvageCaRefuses'],
    ],
    [
      'an injector that cannot read what it is asked',
      [
        series('selvage_injector_reviews_total', 'webhook="inject",outcome="error"', '0+6x120'),
        series('selvage_injector_reviews_total', 'webhook="inject",outcome="none"', '0+6x120'),
      ],
      ['SelvageInjectorFails'],
    ],
    [
      'pods that cannot have a sidecar',
      [
        series(
          'selvage_injector_reviews_total',
          'webhook="inject",outcome="refused",reason="x"',
          '0+1x120',
        ),
      ],
      ['SelvageInjectorRefusesPods'],
    ],
    [
      'endpoints that are left out',
      [series('selvage_endpoints_ejected', `${pod},cluster="c"`, '1x120')],
      ['SelvageEndpointsLeftOut'],
    ],
    [
      'a circuit breaker that stays open',
      [series('selvage_circuit_breaker_open', `${pod},cluster="c"`, '1x120')],
      ['SelvageCircuitOpen'],
    ],
    [
      'a limiter whose counts are away',
      [
        series(
          'selvage_limit_requests_total',
          `${pod},rate_limit="l",outcome="failed_open"`,
          '0+6x120',
        ),
      ],
      ['SelvageLimiterFails'],
    ],
    [
      'log lines that are lost',
      [series('selvage_access_log_dropped_total', pod, '0+5x120')],
      ['SelvageLogLinesLost'],
    ],
    [
      'spans that are lost',
      [
        series('selvage_spans_total', `${pod},outcome="dropped"`, '0+5x120'),
        series('selvage_spans_total', `${pod},outcome="exported"`, '0+5x120'),
      ],
      ['SelvageSpansLost'],
    ],
    [
      'label sets without room',
      [series('selvage_metric_series_overflowed_total', `${pod},table="http"`, '0+5x120')],
      ['SelvageSeriesOverflow'],
    ],
  ])('%s', (_title, told, expected) => {
    fired.push(...expected);
    const asked = alerts.map(({ alert }) => ({
      expr: `count by (alertname) (ALERTS{alertname="${alert}",alertstate="firing"})`,
      eval_time: '2h',
      exp_samples: expected.includes(alert) ? [{ labels: `{alertname="${alert}"}`, value: 1 }] : [],
    }));
    const tests = [{ interval: '1m', input_series: running(told), promql_expr_test: asked }];
    const text = stringify({ rule_files: ['alerts.yml'], evaluation_interval: '1m', tests });
    const said = promtool('test rules', ['alerts.yml', read('alerts.yml')], ['test.yml', text]);
    expect(said.replaceAll(/\s+/g, ' ')).toBe('Unit Testing: test.yml SUCCESS ');
  });
  test('every alert has fired once', () => {
    expect(alerts.map(({ alert }) => alert).filter((alert) => !fired.includes(alert))).toEqual([]);
  });
});
