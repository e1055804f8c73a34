// The sidecar's own ports: what comes back to them through its proxy would go round for ever, or read its secrets.
import { BlockList, type Socket } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

export class OwnPorts {
  readonly #ports = new Set<number>();

  add(port: number): void {
    this.#ports.add(port);
  }

  has(port: number): boolean {
    return this.#ports.has(port);
  }

  /**
   * Destroys a connection that turns out to lead to this sidecar, before anything is sent. Only the
   * address that was reached tells: names and notations for one's own are without number.
   */
  guard(socket: Socket): Socket {
    socket.once('connect', () => {
      if (this.#leadsHere(socket)) socket.destroy(new Error('a call to the sidecar itself'));
    });
    return socket;
  }

  #leadsHere({ remotePort = 0, remoteAddress = '', localAddress, remoteFamily }: Socket): boolean {
    if (!this.#ports.has(remotePort)) return false;
    const family = remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4';
    return remoteAddress === localAddress || loopback.check(remoteAddress, family);
  }
}
