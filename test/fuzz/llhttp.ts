// Node's llhttp by its binding, at the strictness of Node's servers: what it reads, without a server around it.
import { createRequire } from 'node:module';

import type { FuzzReading, FuzzReadings } from './reading.ts';
import { emptyReadings, utf8Text } from './reading.ts';

type Callback = (...facts: never[]) => number | void;

interface Parser {
  [event: number]: Callback;
  initialize(type: number, resource: object, headBytesMax: number, lenient: number): void;
  execute(bytes: Buffer): number | (Error & { code: string; bytesParsed: number });
}
interface ParserConstructor {
  new (): Parser;
  readonly REQUEST: number;
  readonly kOnMessageBegin: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
  readonly kLenientNone: number;
}

const { HTTPParser, methods } = createRequire(import.meta.url)('_http_common') as {
  HTTPParser: ParserConstructor;
  methods: readonly string[];
};
const headBytesMax = 1 << 20;

/** Reads one connection; what is complete is given to `done` at once. */
export class Llhttp {
  readings: FuzzReadings = emptyReadings();
  /** Called with each request that is complete. */
  onRequest: (request: FuzzReading) => void = () => {};
  /** Called once a head is there and the body is not. */
  onHead: (request: FuzzReading) => void = () => {};

  private current: FuzzReading | null = null;
  private raw: string[] = [];
  private url = '';
  private readonly parser = new HTTPParser();
  private bodies: string[] = [];

  constructor() {
    const { parser } = this;
    parser[HTTPParser.kOnMessageBegin] = () => {
      this.raw = [];
      this.url = '';
    };
    parser[HTTPParser.kOnHeaders] = (lines: string[], url: string) => {
      this.raw.push(...lines);
      this.url += url;
    };
    parser[HTTPParser.kOnHeadersComplete] = (
      _major: number,
      minor: number,
      lines: string[] | undefined,
      method: number,
      url: string | undefined,
      _status: undefined,
      _reason: undefined,
      upgrade: boolean,
    ) => this.head(minor, lines ?? this.raw, method, url ?? this.url, upgrade);
    parser[HTTPParser.kOnBody] = (bytes: Buffer) => {
      this.bodies.push(bytes.toString('latin1'));
    };
    parser[HTTPParser.kOnMessageComplete] = () => this.complete();
    this.begin();
  }

  /** Forgets the connection. */
  begin(): void {
    this.parser.initialize(HTTPParser.REQUEST, {}, headBytesMax, HTTPParser.kLenientNone);
    this.readings = emptyReadings();
    this.current = null;
  }

  take(bytes: Buffer): void {
    const { readings } = this;
    if (readings.end !== 'more' && readings.end !== 'whole') return;
    const result = this.parser.execute(bytes);
    if (typeof result !== 'number') readings.end = result.code;
    else if (result < bytes.length) readings.end = 'upgrade';
    else readings.end = this.current === null ? 'whole' : 'more';
  }

  private head(
    minor: number,
    raw: string[],
    method: number,
    url: string,
    upgrade: boolean,
  ): number {
    const lines: [string, string][] = [];
    for (let i = 0; i < raw.length; i += 2) lines.push(lineOf(raw, i));
    this.current = {
      // The list leaves out what is RTSP's, which moves QUERY, the last of HTTP's.
      method: methods[method] ?? 'QUERY',
      target: url,
      minor,
      lines,
      body: '',
      trailers: [],
      upgrade,
    };
    this.bodies = [];
    this.raw = [];
    this.onHead(this.current);
    return 0;
  }

  private complete(): void {
    const request = this.current!;
    request.body = this.bodies.join('');
    for (let i = 0; i < this.raw.length; i += 2) {
      request.trailers.push(lineOf(this.raw, i));
    }
    this.current = null;
    this.readings.requests.push(request);
    this.onRequest(request);
  }
}

function lineOf(raw: readonly string[], at: number): [string, string] {
  return [raw[at]!.toLowerCase(), utf8Text(raw[at + 1]!)];
}
