// What both directions write into the head of an upstream's response.
import type { Exchange, ResponseView } from './exchange.ts';

/** Milliseconds from the head that went upstream to the head that came back, as Envoy tells it. */
export function addServiceTime(x: Exchange, response: ResponseView): void {
  const elapsedMs = Math.max(0, Math.round(x.respondedAtMs - x.forwardedAtMs));
  response.remove('x-envoy-upstream-service-time');
  response.append('x-envoy-upstream-service-time', String(elapsedMs));
}

/** The application's own software is nobody's business; ours says what it is. */
export function setServer(_x: Exchange, response: ResponseView): void {
  response.remove('server');
  response.append('server', 'selvage');
}

/** Lines that a layer asked for while it judged the request. */
export function addAskedHeaders(x: Exchange, response: ResponseView): void {
  for (const name of x.responseCuts) response.remove(name);
  for (const [name, value] of x.responseHeaders) response.append(name, value);
}
