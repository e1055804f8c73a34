// Bounds of HTTP/2 connections, with defaults that are safe against strangers on either side.
import { http1Limits, type ParseLimits } from '../http1/limits.ts';

/** Of one connection, whichever side opened it. */
export interface Http2Limits extends Pick<
  ParseLimits,
  'headBytesMax' | 'headerCountMax' | 'trailerBytesMax'
> {
  /** Streams at once that we let the peer open. Over it: REFUSED_STREAM. */
  streamsMax: number;
  /** What the peer may send on a stream before its bytes have gone on. */
  streamWindowBytes: number;
  /** The same on all streams of a connection: the memory that a connection can cost. */
  connectionWindowBytes: number;
  /** From the first byte of a head, or of a connection, to its last. */
  headTimeoutMs: number;
  /** Of a connection without a stream. */
  idleTimeoutMs: number;
  /** Of a stream without a byte in either direction; 0: none. */
  streamIdleTimeoutMs: number;
  /** A PING goes out after so long without a byte; 0: none. */
  pingEveryMs: number;
  /** No answer to a PING in so long ends the connection; 0: in as long as `pingEveryMs`. */
  pingTimeoutMs: number;
  /** Of a request's body; 0: none. Over it: 413. */
  bodyBytesMax: number;
  /** Streams opened on a connection before it drains; 0: none. */
  requestsPerConnectionMax: number;
  /** Of a connection to an upstream: how long it takes new streams; 0: for ever. */
  connectionMsMax: number;
  /** Streams at once on a connection to an upstream, where the peer allows more; 0: what it allows. */
  callsMax: number;
  /** How long a draining connection may still bring streams that were on their way. */
  drainGraceMs: number;
  /** Streams that the peer may reset before they were answered: at once, and then each second. */
  resetsBurst: number;
  resetsPerSecond: number;
  /** SETTINGS, PING, PRIORITY and other frames that carry nothing, likewise. */
  controlsBurst: number;
  controlsPerSecond: number;
  /** WINDOW_UPDATE frames beyond ten for each DATA frame sent. */
  windowUpdatesBurst: number;
  /** CONTINUATION frames of one header block. */
  continuationsMax: number;
  /** Answers to control frames that wait because the peer reads nothing. */
  pendingAnswersMax: number;
}

export const http2Limits: Readonly<Http2Limits> = Object.freeze({
  headBytesMax: http1Limits.headBytesMax,
  headerCountMax: http1Limits.headerCountMax,
  trailerBytesMax: http1Limits.trailerBytesMax,
  streamsMax: 1024,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 16 * 1024 * 1024,
  headTimeoutMs: http1Limits.headTimeoutMs,
  idleTimeoutMs: http1Limits.idleTimeoutMs,
  streamIdleTimeoutMs: http1Limits.streamIdleTimeoutMs,
  pingEveryMs: 60_000,
  pingTimeoutMs: 0,
  bodyBytesMax: 0,
  requestsPerConnectionMax: 0,
  connectionMsMax: 0,
  callsMax: 0,
  drainGraceMs: 250,
  resetsBurst: 1_000,
  resetsPerSecond: 100,
  controlsBurst: 1_000,
  controlsPerSecond: 200,
  windowUpdatesBurst: 1_000,
  continuationsMax: 32,
  pendingAnswersMax: 1_000,
});
