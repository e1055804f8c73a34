// Streams that closed lately, since frames that were on their way may still come for them.

const rememberedMax = 64;

export class ClosedStreams {
  /** Negative: we reset it. */
  private readonly ids = new Int32Array(rememberedMax);
  private count = 0;

  /** @param resetByUs late frames for it are no error (RFC 9113 5.1) */
  add(id: number, resetByUs: boolean): void {
    this.ids[this.count++ % rememberedMax] = resetByUs ? -id : id;
  }

  wasReset(id: number): boolean {
    return this.ids.includes(-id);
  }

  /** It ended by both sides or by the peer. */
  hasEnded(id: number): boolean {
    return this.ids.includes(id);
  }
}
