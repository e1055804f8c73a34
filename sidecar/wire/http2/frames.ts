// The numbers of HTTP/2 (RFC 9113): frame types, flags, settings, error codes.

export const frameHeadBytes = 9;
/** What we accept and send; the least that a peer must accept (RFC 9113 4.2). */
export const frameBytesMax = 16_384;
export const windowMax = 0x7fff_ffff;
/** Before any SETTINGS (RFC 9113 6.9.2). */
export const firstWindowBytes = 65_535;
export const streamIdMax = 0x7fff_ffff;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
/** By its first bytes, which no request of HTTP/1 begins with. */
const prefaceLine = PREFACE.subarray(0, 14);

/** Whether bytes that are no request line are the line of the connection preface. */
export function startsHttp2(buffer: Buffer, from: number, to: number): boolean {
  const length = Math.min(prefaceLine.length, to - from);
  return length >= 4 && buffer.compare(prefaceLine, 0, length, from, from + length) === 0;
}

export const frame = Object.freeze({
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
});

export const flag = Object.freeze({
  endStream: 0x1,
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
});

export const setting = Object.freeze({
  headerTableSize: 1,
  enablePush: 2,
  concurrentStreamsMax: 3,
  initialWindowSize: 4,
  frameSizeMax: 5,
  headerListSizeMax: 6,
  /** RFC 8441. */
  enableConnectProtocol: 8,
});

export const code = Object.freeze({
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  connect: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
});

/** Whether a code says that the peer broke a rule. */
export function isFault(reason: number): boolean {
  return reason === code.protocol || reason === code.flowControl || reason === code.streamClosed;
}
