// How long one exchange may take, and each of its tries: a route's own time limits, to the millisecond.

/** Timers of one exchange; only exchanges whose route has a limit have them. */
export class Patience {
  /** The whole time is over: nothing is tried again. */
  spent = false;
  private readonly onTotal: () => void;
  private readonly onTry: () => void;
  private perTryMs = 0;
  private requestDone: () => boolean = () => true;
  private total: NodeJS.Timeout | null = null;
  private attempt: NodeJS.Timeout | null = null;

  constructor(onTotal: () => void, onTry: () => void) {
    this.onTotal = onTotal;
    this.onTry = onTry;
  }

  /**
   * The exchange's time begins when its request is whole, as Envoy counts it.
   * @param totalMs 0: no limit, as for `perTryMs`
   */
  begin(totalMs: number, perTryMs: number, requestDone: () => boolean): void {
    this.perTryMs = perTryMs;
    this.requestDone = requestDone;
    if (totalMs === 0) return;
    const arm = (): void => {
      this.total = setTimeout(() => {
        if (requestDone()) {
          this.spent = true;
          this.onTotal();
        } else arm();
      }, totalMs);
    };
    arm();
  }

  /** Another try begins. @param inMs it is held back for so long first, which is not its own time */
  tries(inMs: number): void {
    this.answered();
    if (this.perTryMs > 0) this.armTry(inMs + this.perTryMs);
  }

  /** An answer has begun: a try that is answered is not cut short. */
  answered(): void {
    if (this.attempt !== null) clearTimeout(this.attempt);
    this.attempt = null;
  }

  end(): void {
    this.answered();
    if (this.total !== null) clearTimeout(this.total);
    this.total = null;
  }

  /** As for the whole: an endpoint is not late while the client still sends. */
  private armTry(ms: number): void {
    this.attempt = setTimeout(() => {
      if (this.requestDone()) this.onTry();
      else this.armTry(this.perTryMs);
    }, ms);
  }
}
