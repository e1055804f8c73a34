// The access log: Istio's text or JSON line for each request, byte stream and refused connection.
import type { Exchange } from '../exchange.ts';
import {
  compileJson,
  compileText,
  istioJsonFormat,
  istioTextFormat,
  type LineWriter,
} from './log-format.ts';
import { Reasons } from './log-reason.ts';
import { LogRecord } from './log-record.ts';
import { LogSink, sinkDefaults, type SinkOptions } from './log-sink.ts';
import { traceIdOf } from './trace-context.ts';
import type { ConnectionRefusal, ReasonSource, TcpSession } from './types.ts';
import type { WallClock } from './wall-clock.ts';

export interface AccessLogOptions {
  /** `/dev/stdout` or a file. */
  path: string;
  format: 'text' | 'json';
  /** In place of Istio's text format; Envoy's operators. */
  textFormat?: string;
  reasons: ReasonSource | null;
  clock: WallClock;
  warn: (message: string) => void;
  sink?: Partial<SinkOptions>;
}

export class AccessLog {
  readonly sink: LogSink;
  private readonly line: LineWriter;
  private readonly record = new LogRecord();

  /** @throws Error for an unknown operator in `textFormat` */
  constructor(options: AccessLogOptions) {
    const reasons = new Reasons(options.reasons);
    this.line =
      options.format === 'json'
        ? compileJson(istioJsonFormat, options.clock, (r) => reasons.of(r), traceIdOf)
        : compileText(options.textFormat ?? istioTextFormat, options.clock);
    this.sink = new LogSink({
      ...sinkDefaults,
      ...options.sink,
      path: options.path,
      warn: options.warn,
    });
  }

  exchange(x: Exchange): void {
    this.record.ofExchange(x);
    this.sink.append(this.line(this.record));
  }

  connectionRefused(refusal: ConnectionRefusal): void {
    this.record.ofRefusal(refusal);
    this.sink.append(this.line(this.record));
  }

  tcpClosed(session: TcpSession): void {
    this.record.ofSession(session);
    this.sink.append(this.line(this.record));
  }
}
