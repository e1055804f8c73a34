// The events of a downstream socket, as methods; the socket can be given to somebody else whole.
import type { Socket } from 'node:net';

export abstract class SocketEvents {
  readonly socket: Socket;
  private readonly onData = (chunk: Buffer): void => this.received(chunk);
  private readonly onEnd = (): void => this.ended();
  private readonly onDrain = (): void => this.drained();
  private readonly onClose = (): void => this.closed();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', this.onData);
    socket.on('end', this.onEnd);
    socket.on('drain', this.onDrain);
    socket.on('close', this.onClose);
    // 'close' follows, and says all that matters.
    socket.on('error', () => {});
  }

  protected abstract received(chunk: Buffer): void;
  protected abstract ended(): void;
  protected abstract drained(): void;
  protected abstract closed(): void;

  /** Somebody else reads and writes from here on. */
  protected detachTraffic(): void {
    const { socket } = this;
    socket.off('data', this.onData);
    socket.off('end', this.onEnd);
    socket.off('drain', this.onDrain);
  }

  /** Nothing of the socket is heard any more. */
  protected detach(): void {
    this.detachTraffic();
    this.socket.off('close', this.onClose);
  }
}
