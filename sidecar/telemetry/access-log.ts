// The access logs: a line for each request, byte stream and refused connection, as settings or Telemetry resources say.
import type { AccessLogSettings, TelemetrySettings } from '#api/telemetry.ts';

import { compileCel, type CelProgram } from '../cel/compile.ts';
import type { CelSubject } from '../cel/scope.ts';
import { Exchange } from '../exchange.ts';
import { nothingWanted, wantedBoth, type WantedOfAnswers } from './kept-answer.ts';
import {
  compileFields,
  compileJson,
  compileText,
  istioTextFormat,
  type LineWriter,
} from './log-format.ts';
import type { OperatorParts } from './log-operators.ts';
import { Reasons } from './log-reason.ts';
import { LogRecord } from './log-record.ts';
import { LogSink, sinkDefaults, type SinkOptions } from './log-sink.ts';
import type { ConnectionRefusal, ReasonSource, TcpSession } from './types.ts';
import type { WallClock } from './wall-clock.ts';

export interface AccessLogOptions {
  /** The sidecar's own setting: `/dev/stdout` or a file; '': no log but those of Telemetry resources. */
  readonly path: string;
  /** Its form, and that of logs that name none. */
  readonly format: 'text' | 'json';
  /** The own log is written whatever Telemetry resources say, and theirs beside it. */
  readonly kept?: boolean;
  readonly reasons: ReasonSource | null;
  readonly clock: WallClock;
  readonly warn: (message: string) => void;
  readonly sink?: Partial<SinkOptions>;
}

interface Log {
  readonly sink: LogSink;
  readonly write: LineWriter['write'];
  /** Null: everything is logged. */
  readonly filter: CelProgram | null;
}

/** Logs of one direction. */
interface Direction {
  readonly logs: readonly Log[];
  readonly wanted: WantedOfAnswers;
}

const standardOutput = '/dev/stdout';
const closeSinkMs = 5000;

export class AccessLogs {
  readonly #options: AccessLogOptions;
  readonly #parts: OperatorParts;
  readonly #record = new LogRecord();
  /** By path: a log whose path stays keeps its file. */
  #sinks = new Map<string, LogSink>();
  /** Still writing what they hold. */
  readonly #closing = new Set<Promise<void>>();
  #droppedBefore = 0;
  #inbound: Direction = { logs: [], wanted: nothingWanted };
  #outbound = this.#inbound;

  constructor(options: AccessLogOptions) {
    this.#options = options;
    const reasons = new Reasons(options.reasons);
    this.#parts = {
      clock: options.clock,
      reason: (record) => (record.reason ??= reasons.of(record)),
    };
    this.configure(undefined);
  }

  /** Lines lost to slow or broken sinks. */
  get dropped(): number {
    return [...this.#sinks.values()].reduce((sum, sink) => sum + sink.dropped, this.#droppedBefore);
  }

  /** What Telemetry says nothing of is as the sidecar's own settings say. */
  configure(settings: TelemetrySettings | undefined): void {
    const before = this.#sinks;
    this.#sinks = new Map();
    const inbound = this.#with(settings?.inbound.logs);
    const outbound = this.#with(settings?.outbound.logs);
    this.#inbound = this.#compile(inbound, before);
    // Both directions mostly say the same.
    const same = JSON.stringify(inbound) === JSON.stringify(outbound);
    this.#outbound = same ? this.#inbound : this.#compile(outbound, before);
    for (const [path, sink] of before) if (!this.#sinks.has(path)) this.#retire(sink);
  }

  /** What lines of a direction want kept of answers. */
  wanted(direction: 'inbound' | 'outbound'): WantedOfAnswers {
    return this.#of({ direction }).wanted;
  }

  exchange(x: Exchange): void {
    const { logs } = this.#of(x.downstream);
    if (logs.length > 0) this.#append(logs, x);
  }

  connectionRefused(refusal: ConnectionRefusal): void {
    const { logs } = this.#of(refusal.downstream);
    if (logs.length > 0) this.#append(logs, refusal);
  }

  tcpClosed(session: TcpSession): void {
    const { logs } = this.#of(session.downstream);
    if (logs.length > 0) this.#append(logs, session);
  }

  /** After a rotation (SIGHUP). */
  reopen(): void {
    for (const sink of this.#sinks.values()) sink.reopen();
  }

  async close(deadlineMs: number): Promise<void> {
    const open = [...this.#sinks.values()].map((sink) => sink.close(deadlineMs));
    await Promise.all([...open, ...this.#closing]);
  }

  #of({ direction }: { direction: 'inbound' | 'outbound' }): Direction {
    return direction === 'inbound' ? this.#inbound : this.#outbound;
  }

  #append(logs: readonly Log[], subject: CelSubject): void {
    const record = this.#record;
    let filled = false;
    for (const { sink, write, filter } of logs) {
      if (filter !== null && !filter.holds(subject)) continue;
      if (!filled) fill(record, subject);
      filled = true;
      sink.append(write(record));
    }
  }

  /** @param said by Telemetry resources; undefined: nothing is */
  #with(said: readonly AccessLogSettings[] | undefined): readonly AccessLogSettings[] {
    const { path, kept = false } = this.#options;
    const own = path === '' ? [] : [{ provider: '', path }];
    if (said === undefined) return own;
    return kept ? [...own, ...said] : said;
  }

  #compile(settings: readonly AccessLogSettings[], before: Map<string, LogSink>): Direction {
    let wanted = nothingWanted;
    const logs = settings.flatMap((one): Log[] => {
      try {
        const line = this.#line(one.format);
        const filter = one.filter === undefined ? null : compileCel(one.filter);
        wanted = wantedBoth(wantedBoth(wanted, line.wanted), filter?.wanted ?? nothingWanted);
        return [{ sink: this.#sink(one.path, before), write: line.write, filter }];
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#options.warn(`the access log of provider ${one.provider} is left out: ${why}`);
        return [];
      }
    });
    return { logs, wanted };
  }

  #line(format: AccessLogSettings['format']): LineWriter {
    const parts = this.#parts;
    const { kind } = format ?? { kind: this.#options.format };
    if (kind === 'text') {
      return compileText((format?.kind === 'text' && format.text) || istioTextFormat, parts);
    }
    const fields = format?.kind === 'json' ? format.fields : undefined;
    return fields === undefined ? compileJson(parts) : compileFields(fields, parts);
  }

  /** The sidecar's own path says where its standard output goes, unless that is kept for itself. */
  #sink(path: string, before: Map<string, LogSink>): LogSink {
    const { path: own, kept = false, sink: sizes, warn } = this.#options;
    const output = kept || own === '' ? standardOutput : own;
    const at = path === '' || path === standardOutput ? output : path;
    let sink = this.#sinks.get(at) ?? before.get(at);
    sink ??= new LogSink({ ...sinkDefaults, ...sizes, path: at, warn });
    this.#sinks.set(at, sink);
    return sink;
  }

  #retire(sink: LogSink): void {
    const closing = sink.close(closeSinkMs).finally(() => {
      this.#droppedBefore += sink.dropped;
      this.#closing.delete(closing);
    });
    this.#closing.add(closing);
  }
}

function fill(record: LogRecord, subject: CelSubject): void {
  if (subject instanceof Exchange) record.ofExchange(subject);
  else if ('openedAtMs' in subject) record.ofSession(subject);
  else record.ofRefusal(subject);
}
