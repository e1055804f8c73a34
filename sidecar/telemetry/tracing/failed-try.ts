// Notes with a sampled call that one of its tries came to nothing, and that another one follows.
import type { Exchange } from '../../exchange.ts';
import { Trace } from '../trace-context.ts';

/** @param endpoint `address:port` that was asked @param reason code of the failure, or the status of the answer */
export function noteFailedTry(x: Exchange, endpoint: string, reason: string): void {
  const { trace } = x;
  if (!(trace instanceof Trace)) return;
  (trace.events ??= []).push({
    name: 'selvage.retry',
    atMs: performance.now(),
    attributes: {
      'selvage.endpoint': endpoint,
      'selvage.reason': reason,
      'http.request.resend_count': trace.events.length + 1,
    },
  });
}
