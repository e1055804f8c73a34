// Ways from a client to the application: through us, through another proxy, and through two in a row.
import { connect } from 'node:net';

import { admitHead } from '#sidecar/admit-head.ts';
import type { RequestPath } from '#sidecar/exchange.ts';
import { failures } from '#sidecar/failures.ts';
import { refuse } from '#sidecar/request-path.ts';
import { Rig } from '#test/sidecar/wire/http1/rig.ts';

import { Echo, markName, type Seen } from './echo.ts';
import { isInstalled, startProxy, type ProxyName, type RunningProxy } from './proxies.ts';

/** What became of one connection's bytes on one way. */
export interface Outcome extends Seen {
  /** Of every answer, interim ones left out. */
  readonly statuses: readonly number[];
  /** `idle`: something waits for more bytes. */
  readonly end: 'closed' | 'idle';
}

/** `ours`, `envoy`, `ours>nginx`, `haproxy>ours`, … */
export type WayName = string;

export class Ways {
  readonly names: WayName[] = [];
  readonly proxies: RunningProxy[] = [];
  private readonly ports = new Map<WayName, number>();
  /** By mark, since `takeLate` was asked last. */
  private sent = new Map<string, Buffer>();
  private readonly rigs: Rig[] = [];
  private readonly echo: Echo;

  private constructor(echo: Echo) {
    this.echo = echo;
  }

  /** @param wanted those that are not installed are left out */
  static async open(wanted: readonly ProxyName[]): Promise<Ways> {
    const ways = new Ways(await Echo.start());
    try {
      ways.add('ours', await ways.engine(ways.echo.port, 'ours'));
      ways.add('ours>ours', await ways.engine(await ways.behind(), 'ours>ours'));
      for (const name of wanted.filter(isInstalled)) {
        const proxy = await startProxy(name, ways.echo.port, await ways.behind());
        ways.proxies.push(proxy);
        const { front, beforeUs, behindUs } = proxy.ports;
        ways.add(name, front);
        ways.add(`${name}>ours`, beforeUs);
        ways.add(`ours>${name}`, await ways.engine(behindUs, `ours>${name}`));
      }
    } catch (error) {
      await ways.close();
      throw error;
    }
    return ways;
  }

  async close(): Promise<void> {
    // Their connections to our engine would keep it open.
    await Promise.all(this.proxies.map((proxy) => proxy.stop()));
    await Promise.all(this.rigs.map((rig) => rig.stop()));
    this.echo.stop();
  }

  /** Sends all at once on a new connection; over when it closes or nothing came for `idleMs`. */
  async send(way: WayName, bytes: Buffer, idleMs: number): Promise<Outcome> {
    const socket = connect({ port: this.ports.get(way)!, host: '127.0.0.1', noDelay: true });
    const { promise, resolve } = Promise.withResolvers<'closed' | 'idle'>();
    let text = '';
    let mark = '';
    socket.setTimeout(idleMs, () => resolve('idle'));
    socket.on('connect', () => {
      mark = `${way}-${socket.localPort}`;
      this.echo.expect(mark);
      this.sent.set(mark, bytes);
      socket.write(bytes);
    });
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => resolve('closed'));
    const end = await promise;
    socket.destroy();
    const statuses = [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, code]) => Number(code));
    return { ...this.echo.take(mark), statuses: statuses.filter((code) => code >= 200), end };
  }

  /** What no front sent and yet reached the application when its client had gone: way, what, and bytes. */
  takeLate(): [way: WayName, wrong: string, bytes: Buffer][] {
    const { sent } = this;
    this.sent = new Map();
    return [...this.echo.takeLate()].flatMap(([mark, wrongs]) =>
      wrongs.map((wrong): [WayName, string, Buffer] => [
        mark.slice(0, Math.max(0, mark.lastIndexOf('-'))),
        wrong,
        sent.get(mark) ?? Buffer.alloc(0),
      ]),
    );
  }

  private add(name: WayName, port: number): void {
    this.names.push(name);
    this.ports.set(name, port);
  }

  /** Our engine behind one front: its connections to the application carry nobody else's requests. */
  private behind(): Promise<number> {
    return this.engine(this.echo.port, '');
  }

  /** Our engine, which admits as a sidecar does. @returns its port */
  private async engine(upstreamPort: number, mark: string): Promise<number> {
    const path: Partial<RequestPath> = {
      start: (x) => {
        const refusal = admitHead(x.request, 'DEFAULT');
        if (refusal !== '') {
          refuse(x, failures[refusal]);
          return;
        }
        if (mark !== '') {
          x.request.remove(markName);
          x.request.append(markName, `${mark}-${x.downstream.remotePort}`);
        }
        x.stream.forward(rig.pool);
      },
      finish: () => {},
      unheard: () => {},
    };
    const rig: Rig = await Rig.start(() => {}, { upstreamPort, path });
    this.rigs.push(rig);
    return rig.port;
  }
}
