// SETTINGS frames (RFC 9113 6.5): ours as bytes, the peer's checked.
import { code, firstWindowBytes, frameBytesMax, setting, windowMax } from './frames.ts';

const entryBytes = 6;
/** More in one frame is an attack; there are nine settings in all. */
const entriesMax = 32;

/** What the peer told; its defaults before it does. */
export interface PeerSettings {
  headerTableBytes: number;
  /** Streams at once that we may open. */
  streamsMax: number;
  streamWindowBytes: number;
  /** Extended CONNECT (RFC 8441). */
  connectProtocol: boolean;
}

export function defaultPeerSettings(): PeerSettings {
  return {
    headerTableBytes: 4096,
    streamsMax: 100,
    streamWindowBytes: firstWindowBytes,
    connectProtocol: false,
  };
}

/** @returns an error code, `code.none` when all is well. @param server the peer is a server */
export function readSettings(
  settings: PeerSettings,
  payload: Buffer,
  from: number,
  to: number,
  server: boolean,
): number {
  if ((to - from) % entryBytes !== 0) return code.frameSize;
  if (to - from > entriesMax * entryBytes) return code.enhanceYourCalm;
  for (let at = from; at < to; at += entryBytes) {
    const id = payload.readUInt16BE(at);
    const value = payload.readUInt32BE(at + 2);
    switch (id) {
      case setting.headerTableSize:
        settings.headerTableBytes = value;
        break;
      case setting.enablePush:
        // A server may not say 1 (RFC 9113 6.5.2).
        if (value > 1 || (server && value === 1)) return code.protocol;
        break;
      case setting.concurrentStreamsMax:
        settings.streamsMax = value;
        break;
      case setting.initialWindowSize:
        if (value > windowMax) return code.flowControl;
        settings.streamWindowBytes = value;
        break;
      case setting.frameSizeMax:
        if (value < frameBytesMax || value > 0xff_ffff) return code.protocol;
        break;
      case setting.enableConnectProtocol:
        if (value > 1 || (settings.connectProtocol && value === 0)) return code.protocol;
        settings.connectProtocol = value === 1;
        break;
      default:
      // Unknown ones are ignored; frames are kept to the size that everybody accepts.
    }
  }
  return code.none;
}

/** Pairs of a setting and its value. */
export type SettingEntries = readonly (readonly [id: number, value: number])[];

export function settingsBytes(entries: SettingEntries): Buffer {
  const bytes = Buffer.alloc(entries.length * entryBytes);
  entries.forEach(([id, value], i) => {
    bytes.writeUInt16BE(id, i * entryBytes);
    bytes.writeUInt32BE(value, i * entryBytes + 2);
  });
  return bytes;
}
