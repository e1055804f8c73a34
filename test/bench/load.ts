// Makes load, in a process of its own, since its cost is not the proxy's.
//
//   forked with LoadOptions as JSON: sends 'begin' and 'end' at the measured moments, then a LoadResult
import { flushCompileCache } from 'node:module';

import { openHandshakes } from './load/handshakes.ts';
import { openHttp1 } from './load/http1.ts';
import { openHttp2 } from './load/http2.ts';
import { Meter } from './load/meter.ts';
import type { LoadOptions } from './load/options.ts';
import { openTcp } from './load/tcp.ts';

const openers = {
  http1: openHttp1,
  http2: openHttp2,
  grpc: openHttp2,
  tcp: openTcp,
  handshakes: openHandshakes,
};

/** Connections are opened so many at a time, since a thousand at once is another benchmark. */
const openedAtOnce = 50;
const openPauseMs = 20;

if (import.meta.main) run(JSON.parse(process.argv[2] ?? '{}') as LoadOptions);

function run(options: LoadOptions): void {
  const meter = new Meter(options.perSecond);
  const open = openers[options.speaks];
  let opened = 0;
  const openSome = (): void => {
    for (let i = 0; i < openedAtOnce && opened < options.connections; i += 1, opened += 1) {
      open(options, meter);
    }
    if (opened < options.connections) setTimeout(openSome, openPauseMs);
    else setTimeout(begin, options.warmSeconds * 1000);
  };
  const begin = (): void => {
    meter.begin();
    process.send?.('begin');
    setTimeout(end, options.seconds * 1000);
  };
  const end = (): void => {
    process.send?.('end');
    flushCompileCache();
    // Whoever forked us ends us: Node's own exit may wait for ever for a thread of V8.
    process.send?.(meter.end());
  };
  openSome();
}
