// manifests/overlays/monitoring: rules that Prometheus takes, over metrics that there are, which fire when they should.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

interface Alerts {
  readonly groups: readonly { readonly rules: readonly { alert: string; expr: string }[] }[];
}

interface Dashboard {
  readonly panels: readonly { title: string; targets: readonly { expr: string }[] }[];
}

const root = join(import.meta.dirname, '../..');
const overlay = join(root, 'manifests/overlays/monitoring');
const read = (name: string): string => readFileSync(join(overlay, name), 'utf8');
const alerts = (parse(read('alerts.yml')) as Alerts).groups.flatMap(({ rules }) => rules);
const { panels } = JSON.parse(read('dashboard.json')) as Dashboard;
const shown = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

test('alerts and dashboard ask for metrics that a process of the mesh has', () => {
  const code = ['ca/metrics.ts', 'control/metrics.ts', 'injector/metrics.ts']
    .concat(
      readdirSync(join(root, 'sidecar/telemetry'))
        .filter((name) => name.endsWith('.ts'))
        .map((name) => `sidecar/telemetry/${name}`),
    )
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  // The prefix of control's counters is written once.
  const known = (name: string): boolean =>
    code.includes(`'${name}'`) || code.includes(`'${name.replace('selvage_control_', '')}'`);
  const asked = [...alerts.map(({ expr }) => expr), ...shown]
    .flatMap((expr) => expr.match(/\b(?:selvage|istio)_[a-z_]+\b/g) ?? [])
    .map((name) => name.replace(/_bucket$/, ''))
    .filter((name) => name !== 'selvage_');
  expect(new Set(asked).size).toBeGreaterThan(10);
  expect([...new Set(asked)].filter((name) => !known(name))).toEqual([]);
});

test('a panel is titled and asks something', () => {
  for (const { title, targets } of panels) {
    expect(title).not.toBe('');
    expect(targets.length).toBeGreaterThan(0);
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

  test('it reads every expression of the dashboard', () => {
    const rules = shown.map((expr, index) => ({
      record: `panel_${index}`,
      expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$namespace', '.*'),
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
  const running = ['ca', 'control', 'injector'].map((part) => up(part, '1x120'));
  const denied =
    'istio_requests_total{reporter="destination",response_code="403",destination_workload="pay",destination_workload_namespace="shop"}';
  const expiry = 'selvage_control_certificate_expiry_timestamp_seconds{part="control",pod="a"}';
  test.each<[string, object[], string[]]>([
    ['a mesh that runs', running, []],
    ['control away', [running[0]!, running[2]!], ['SelvageControlDown']],
    ['both replicas of the CA down', [up('ca', '0x120'), ...running.slice(1)], ['SelvageCaDown']],
    [
      'sidecars that stay behind',
      [...running, { series: 'selvage_control_sidecars_behind', values: '2x120' }],
      ['SelvageSidecarsBehind'],
    ],
    [
      'sidecars that are behind for a moment',
      [...running, { series: 'selvage_control_sidecars_behind', values: '0x115 2x5' }],
      [],
    ],
    [
      'a certificate that is not renewed',
      [...running, { series: expiry, values: '8000x120' }],
      ['SelvageCertificateNearEnd'],
    ],
    ['a few denials', [...running, { series: denied, values: '0+6x120' }], []],
    [
      'denials that rise',
      [...running, { series: denied, values: '0+6x100 1000+600x20' }],
      ['SelvageDenialsRise'],
    ],
    [
      'a CA that refuses',
      [...running, { series: 'selvage_ca_refusals_total{code="x"}', values: '0+30x120' }],
      ['SelvageCaRefuses'],
    ],
  ])('%s', (_title, series, expected) => {
    const asked = alerts.map(({ alert }) => ({
      expr: `count by (alertname) (ALERTS{alertname="${alert}",alertstate="firing"})`,
      eval_time: '2h',
      exp_samples: expected.includes(alert) ? [{ labels: `{alertname="${alert}"}`, value: 1 }] : [],
    }));
    const tests = [{ interval: '1m', input_series: series, promql_expr_test: asked }];
    const text = stringify({ rule_files: ['alerts.yml'], evaluation_interval: '1m', tests });
    const told = promtool('test rules', ['alerts.yml', read('alerts.yml')], ['test.yml', text]);
    expect(told.replaceAll(/\s+/g, ' ')).toBe('Unit Testing: test.yml SUCCESS ');
  });
});
