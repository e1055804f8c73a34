// A real Prometheus for tests, on a free port of loopback; ended by its own pid.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { stringify } from 'yaml';

import { freePort } from './free-port.ts';

export interface Target {
  readonly port: number;
  readonly path: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export const noPrometheus = spawnSync('prometheus', ['--version']).status !== 0;
if (noPrometheus) console.log("skipped: there is no Prometheus here (Debian's package prometheus)");

export class Prometheus {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #url: string;

  private constructor(child: ChildProcess, folder: string, url: string) {
    this.#child = child;
    this.#folder = folder;
    this.#url = url;
  }

  /** Scrapes each target every second; resolves when it is ready. */
  static async start(targets: readonly Target[]): Promise<Prometheus> {
    const folder = await mkdtemp(join(tmpdir(), 'selvage-prometheus-'));
    const jobs = targets.map(({ port, path, labels }, i) => ({
      job_name: `target-${i}`,
      metrics_path: path,
      static_configs: [{ targets: [`127.0.0.1:${port}`], labels }],
    }));
    const config = { global: { scrape_interval: '1s' }, scrape_configs: jobs };
    await writeFile(join(folder, 'prometheus.yml'), stringify(config));
    const address = `127.0.0.1:${await freePort()}`;
    const child = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${address}`,
        '--enable-feature=exemplar-storage',
      ],
      { stdio: 'ignore' },
    );
    const prometheus = new Prometheus(child, folder, `http://${address}`);
    try {
      await untilReady(`http://${address}/-/ready`, child);
      return prometheus;
    } catch (error) {
      await prometheus.close();
      throw error;
    }
  }

  /** @throws Error with Prometheus' words when the expression cannot be evaluated */
  async query(expr: string): Promise<Sample[]> {
    const data = (await this.#ask('query', { query: expr })) as {
      result: { metric: Record<string, string>; value: [number, string] }[];
    };
    return data.result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
  }

  /** Trace IDs of the exemplars of a metric. */
  async exemplars(expr: string): Promise<string[]> {
    const now = Date.now() / 1000;
    const range = { start: String(now - 600), end: String(now + 60) };
    const data = (await this.#ask('query_exemplars', { query: expr, ...range })) as {
      exemplars: { labels: Record<string, string> }[];
    }[];
    return data.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels['trace_id'] ?? ''));
  }

  /** What it says of each target that it cannot read. */
  async troubles(): Promise<string[]> {
    const data = (await this.#ask('targets', {})) as {
      activeTargets: { scrapeUrl: string; health: string; lastError: string }[];
    };
    return data.activeTargets
      .filter(({ health }) => health !== 'up')
      .map(({ scrapeUrl, health, lastError }) => `${scrapeUrl}: ${health} ${lastError}`);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await gone;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #ask(what: string, parameters: Record<string, string>): Promise<unknown> {
    const body = new URLSearchParams(parameters);
    const url = `${this.#url}/api/v1/${what}`;
    const response = await (what === 'targets' ? fetch(url) : fetch(url, { method: 'POST', body }));
    const { data, error } = (await response.json()) as { data: unknown; error?: string };
    if (error !== undefined) throw new Error(`${error}: ${parameters['query']}`);
    return data;
  }
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline && child.exitCode === null) {
    if ((await fetch(url).catch(() => null))?.ok === true) return;
    await sleep(50);
  }
  throw new Error(`Prometheus is not ready (it has ended with ${child.exitCode})`);
}
