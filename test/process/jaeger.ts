// A real Jaeger for tests: one that $JAEGER starts, on ports of its own, or one that is there already.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { freePort } from '#test/free-port.ts';

/** A program that runs Jaeger 2 in the foreground and takes `--config FILE`; '': none is named. */
const program = process.env['JAEGER'] ?? '';
const usualQuery = 'http://127.0.0.1:16686';

/** A span as Jaeger's query API tells it. */
export interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  readonly references: readonly { readonly refType: string; readonly spanID: string }[];
  readonly startTime: number;
  readonly tags: readonly { readonly key: string; readonly value: unknown }[];
  readonly logs: readonly { readonly fields: readonly { key: string; value: unknown }[] }[];
  readonly processID: string;
}

export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

/** Null: there is none to test against. */
export async function findJaeger(): Promise<'program' | 'running' | null> {
  if (program !== '') return 'program';
  return (await answers(usualQuery)) ? 'running' : null;
}

interface Listening {
  readonly host: string;
  readonly http: number;
  readonly grpc: number;
  readonly query: number;
}

export class Jaeger {
  /** OTLP over each. */
  readonly http: string;
  readonly grpc: string;
  private readonly query: string;
  private readonly child: ChildProcess | null;
  private readonly folder: string;

  private constructor(listening: Listening, child: ChildProcess | null, folder: string) {
    const { host, http, grpc, query } = listening;
    this.http = `http://${host}:${http}`;
    this.grpc = `grpc://${host}:${grpc}`;
    this.query = `http://${host}:${query}`;
    this.child = child;
    this.folder = folder;
  }

  /** The one that runs, or a new one. @param host where a new one listens: pods do not reach our loopback */
  static async start(host = '127.0.0.1'): Promise<Jaeger> {
    if (program === '') return new Jaeger({ host, http: 4318, grpc: 4317, query: 16686 }, null, '');
    const ports = { http: await freePort(), grpc: await freePort(), query: await freePort() };
    const listening = { host, ...ports };
    const folder = mkdtempSync(join(tmpdir(), 'selvage-jaeger-'));
    const file = join(folder, 'jaeger.json');
    writeFileSync(file, JSON.stringify(configOf(listening, await freePort())));
    const child = spawn(program, ['--config', file], { stdio: ['ignore', 'ignore', 'inherit'] });
    const jaeger = new Jaeger(listening, child, folder);
    const state = { ended: false };
    child.once('exit', () => (state.ended = true));
    child.once('error', () => (state.ended = true));
    while (!(await answers(jaeger.query))) {
      if (state.ended) throw new Error(`${program} does not run`);
      await sleep(50);
    }
    return jaeger;
  }

  /** What the API's `GET /api/traces` finds. @param tags values by name */
  async find(asked: {
    service: string;
    operation?: string;
    tags?: Readonly<Record<string, string>>;
  }): Promise<JaegerTrace[]> {
    const { service, operation, tags } = asked;
    const query = new URLSearchParams({ service, limit: '1000', lookback: '1h' });
    if (operation !== undefined) query.set('operation', operation);
    if (tags !== undefined) query.set('tags', JSON.stringify(tags));
    return this.ask(`/api/traces?${query.toString()}`);
  }

  async trace(id: string): Promise<JaegerTrace | null> {
    const [found] = await this.ask<JaegerTrace[] | null>(`/api/traces/${id}`).then(
      (traces) => traces ?? [],
      () => [],
    );
    return found ?? null;
  }

  async stop(): Promise<void> {
    const { child, folder } = this;
    if (child !== null && child.exitCode === null) {
      child.kill();
      await once(child, 'exit');
    }
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  }

  private async ask<T>(path: string): Promise<T> {
    const response = await fetch(this.query + path);
    const { data } = (await response.json()) as { data: T };
    return data;
  }
}

async function answers(query: string): Promise<boolean> {
  try {
    const response = await fetch(`${query}/api/services`, { signal: AbortSignal.timeout(1000) });
    return response.ok;
  } catch {
    return false;
  }
}

/** Jaeger's all in one, in memory, on these ports and no others. */
function configOf({ host, http, grpc, query }: Listening, queryGrpc: number): object {
  const at = (port: number): object => ({ endpoint: `${host}:${port}` });
  return {
    service: {
      extensions: ['jaeger_storage', 'jaeger_query'],
      pipelines: { traces: { receivers: ['otlp'], exporters: ['jaeger_storage_exporter'] } },
      telemetry: { metrics: { level: 'none' }, logs: { level: 'error' } },
    },
    extensions: {
      jaeger_query: {
        storage: { traces: 'memory' },
        enable_tracing: false,
        http: at(query),
        grpc: at(queryGrpc),
      },
      jaeger_storage: { backends: { memory: { memory: { max_traces: 10_000 } } } },
    },
    receivers: { otlp: { protocols: { http: at(http), grpc: at(grpc) } } },
    exporters: { jaeger_storage_exporter: { trace_storage: 'memory' } },
  };
}
