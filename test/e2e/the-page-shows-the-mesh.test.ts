// `selvage up`'s own web page, in a real Chromium. Without one (CHROMIUM, or chromium in PATH) it is skipped.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type RawReply, send } from '#cli/up/send.ts';

import { Chromium, findChromium } from './chromium.ts';
import { eventually } from './local-mesh.ts';

const root = join(import.meta.dirname, '../..');
const program = findChromium();

const good = 'billing charges a card';
const bad = 'web may not charge a card itself';

let folder = '';
let mesh: ChildProcess;
let output = '';
let browser: Chromium;
let origin = '';

describe.skipIf(program === null)(
  'in Chromium (skipped where neither CHROMIUM nor PATH has one)',
  () => {
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'selvage-page-'));
      await cp(join(root, 'manifests/examples/shop'), join(folder, 'shop'), { recursive: true });
      const args = ['cli/main.ts', 'up', join(folder, 'shop'), '--send', '--first-port', '29000'];
      // Others may run meshes on this machine: this one is told of elsewhere.
      const env = { ...process.env, XDG_RUNTIME_DIR: folder };
      mesh = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
      for (const stream of [mesh.stdout, mesh.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
      }
      const shown = () => Promise.resolve(/See it in a browser:\n.*\n/.test(output));
      await eventually(shown, (isUp) => isUp, 60_000);
      const url = /http:\S+\?token=\S+/.exec(output)?.[0] ?? '';
      ({ origin } = new URL(url));
      browser = await Chromium.start(program ?? '');
      await browser.look('light', 1280, 860);
      await browser.open(url);
      await browser.until(
        "location.search === '' && document.querySelector('.graph svg') !== null",
      );
    });

    afterAll(async () => {
      await browser?.close();
      mesh?.kill('SIGINT');
      if (mesh?.exitCode === null) await once(mesh, 'exit');
      await rm(folder, { recursive: true, force: true });
    });

    test('the token is gone from the address, and scripts cannot read it', async () => {
      expect(await browser.read('location.href')).toBe(`${origin}/`);
      expect(await browser.read('document.cookie')).toBe('');
    });

    test('the graph shows who called whom, and follows the traffic without being loaded again', async () => {
      expect(await texts('.graph .node .name')).toEqual(
        expect.arrayContaining(['web', 'billing', 'payments']),
      );
      await browser.read('window.kept = true');
      const before = await callsOf('billing/billing', 'payments/payments');
      expect(before).toBeGreaterThan(0);
      await charge(good);
      await browser.until(
        `${callsExpression('billing/billing', 'payments/payments')} === ${before + 1}`,
      );
      expect(await browser.read('window.kept')).toBe(true);
    });

    test('a refusal is there at once, with the rule that came nearest', async () => {
      const { headers } = await charge(bad);
      const id = headers.get('x-selvage-id') ?? '';
      expect(id).not.toBe('');
      await browser.open(`${origin}/why`);
      await browser.until(`document.querySelector('a[href="/why/${id}"]') !== null`);
      await browser.read(`document.querySelector('a[href="/why/${id}"]').click()`);
      await browser.until("document.querySelector('.steps') !== null");
      const told = await browser.read<string>("document.querySelector('main').innerText");
      expect(told).toContain('cluster.local/ns/web/sa/web-sa');
      expect(told).toMatch(/payments\/admit-billing rule 0/);
      expect(told).toContain('policies.yaml:32');
    });

    test('the keyboard goes everywhere', async () => {
      await browser.open(`${origin}/`);
      for (const [key, path] of [
        ['w', '/w'],
        ['d', '/why'],
        ['i', '/inspect'],
        ['t', '/t'],
        ['s', '/sync'],
        ['h', '/'],
      ] as const) {
        await browser.press('g');
        await browser.press(key);
        await browser.until(
          `location.pathname === '${path}' && document.readyState === 'complete'`,
        );
      }
      await browser.press('?');
      expect(await browser.read("document.querySelector('dialog').open")).toBe(true);
      await browser.press('Escape');
      await browser.until("!document.querySelector('dialog').open");
      await browser.press('g');
      await browser.press('w');
      await browser.until(
        "location.pathname === '/w' && document.querySelectorAll('a.row').length === 3",
      );
      await browser.press('j');
      await browser.press('j');
      await browser.press('k');
      await browser.press('Enter');
      await browser.until("location.pathname === '/w/billing/billing'");
      expect(await browser.read("document.querySelector('main').innerText")).toContain('admit-web');
    });

    test('the filter works as one types, and keeps what is typed', async () => {
      await browser.open(`${origin}/w`);
      await browser.press('/');
      for (const key of 'pay') await browser.press(key);
      await browser.until("document.querySelectorAll('a.row').length === 1");
      expect(await browser.read('location.search')).toBe('?q=pay');
      expect(await browser.read("document.querySelector('input[name=q]').value")).toBe('pay');
    });

    test('the inspector has the sidecar judge a call', async () => {
      const call = 'from=billing/billing-sa&to=payments/payments&method=POST&path=/api/v1/charges';
      await browser.open(`${origin}/inspect?ask=yes&${call}`);
      const allowed = await browser.read<string>("document.querySelector('main').innerText");
      expect(allowed).toContain('Allowed by payments/admit-billing rule 0');
      expect(allowed).not.toContain('could not be asked');
      await browser.open(`${origin}/inspect?ask=yes&${call.replace('billing/billing-sa', 'none')}`);
      expect(await browser.read("document.querySelector('main').innerText")).toContain('STRICT');
    });

    test('all sidecars are in sync', async () => {
      await browser.open(`${origin}/sync`);
      await expect
        .poll(() => browser.read("document.querySelector('h1').innerText"))
        .toBe('3 of 3 sidecars in sync');
    });

    test('a call with a trace is a waterfall of both sidecars', async () => {
      await browser.open(`${origin}/t`);
      const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
      const link = `document.querySelector('a[href="/t/${trace}"]')`;
      // Calls are followed from when the page is opened.
      await expect
        .poll(async () => {
          await charge(good, [['traceparent', `00-${trace}-00f067aa0ba902b7-01`]]);
          return browser.read(`${link} !== null`);
        })
        .toBe(true);
      await browser.open(`${origin}/t/${trace}`);
      await browser.until(
        "document.querySelector('.span.inbound') !== null && document.querySelector('.span.outbound') !== null",
      );
    });

    test('it is light or dark as the reader has it, and never wider than a phone', async () => {
      const background = 'getComputedStyle(document.body).backgroundColor';
      const seen = new Set<string>();
      for (const scheme of ['light', 'dark'] as const) {
        await browser.look(scheme, 400, 800);
        for (const path of ['/', '/w', '/w/payments/payments', '/why', '/inspect', '/t', '/sync']) {
          await browser.open(`${origin}${path}`);
          seen.add(await browser.read<string>(background));
          expect(await browser.read('document.documentElement.scrollWidth')).toBeLessThanOrEqual(
            400,
          );
        }
      }
      expect(seen.size).toBe(2);
      await browser.look('light', 1280, 860);
    });

    test('without scripts all of it is there', async () => {
      await browser.withoutScripts(true);
      try {
        for (const [path, text] of [
          ['/', 'payments'],
          ['/w/payments/payments', 'admit-billing'],
          ['/t', 'Traces'],
        ] as const) {
          const loaded = browser.requests.length;
          await browser.open(`${origin}${path}`);
          expect(await browser.read("document.querySelector('main').innerText")).toContain(text);
          expect(browser.requests.slice(loaded).some((url) => url.endsWith('.css'))).toBe(true);
        }
      } finally {
        await browser.withoutScripts(false);
      }
    });

    // The last one: of all that went before.
    test('nothing failed in the browser, and nothing was asked of anybody else', () => {
      expect(browser.errors).toEqual([]);
      expect(
        browser.requests.filter((url) => !url.startsWith(`${origin}/`) && url !== 'about:blank'),
      ).toEqual([]);
    });
  },
);

/** A charge through the sidecar of a caller, as `up` proposes it by this title. */
function charge(
  title: string,
  headers: readonly (readonly [name: string, value: string])[] = [],
): Promise<RawReply> {
  const after = output.slice(output.indexOf(`# ${title}`));
  const port = Number(/--proxy http:\/\/127\.0\.0\.1:(\d+)/.exec(after)?.[1]);
  return send({
    host: '127.0.0.1',
    port,
    method: 'POST',
    target: 'http://payments.payments:8080/api/v1/charges',
    headers: [['host', 'payments.payments:8080'], ...headers],
    timeoutMs: 10_000,
  });
}

function texts(selector: string): Promise<string[]> {
  return browser.read(
    `[...document.querySelectorAll('${selector}')].map((one) => one.textContent)`,
  );
}

function callsExpression(from: string, to: string): string {
  return `Number(document.getElementById('edge-${from}-${to}').querySelector('td[title]').title)`;
}

function callsOf(from: string, to: string): Promise<number> {
  return browser.read(callsExpression(from, to));
}
