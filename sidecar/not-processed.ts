// How a callee's sidecar tells its caller's that the application never got a request, so that another may.

/**
 * On a 503 over HTTP/1.1 within mutual TLS; HTTP/2 has REFUSED_STREAM for it (RFC 9113 8.7). Callers'
 * sidecars act on it and pass it on to nobody; what an application says by it is cut where it leaves.
 */
export const notProcessedHeader = 'x-selvage-not-processed';

export const notProcessedLine = `${notProcessedHeader}: 1\r\n`;
