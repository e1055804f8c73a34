import { expect, test } from 'vitest';

import { code, setting } from '#sidecar/wire/http2/frames.ts';
import {
  defaultPeerSettings,
  readSettings,
  settingsBytes,
  type SettingEntries,
} from '#sidecar/wire/http2/settings.ts';

function read(
  entries: SettingEntries,
  server = false,
  into = defaultPeerSettings(),
): [number, typeof into] {
  const bytes = Buffer.concat([Buffer.from('xx'), settingsBytes(entries), Buffer.from('y')]);
  return [readSettings(into, bytes, 2, bytes.length - 1, server), into];
}

test('what is told is kept, what is not keeps its default', () => {
  const [error, peer] = read([
    [setting.headerTableSize, 0],
    [setting.concurrentStreamsMax, 0xffff_ffff],
    [setting.initialWindowSize, 0x7fff_ffff],
    [setting.enableConnectProtocol, 1],
  ]);
  expect(error).toBe(code.none);
  expect(peer).toEqual({
    headerTableBytes: 0,
    streamsMax: 0xffff_ffff,
    streamWindowBytes: 0x7fff_ffff,
    connectProtocol: true,
  });
  expect(read([])).toEqual([code.none, defaultPeerSettings()]);
});

test('the last of two values counts', () => {
  const [, peer] = read([
    [setting.initialWindowSize, 1],
    [setting.initialWindowSize, 2],
  ]);
  expect(peer.streamWindowBytes).toBe(2);
});

test.each([
  [setting.enablePush, 0, false, code.none],
  [setting.enablePush, 1, false, code.none],
  [setting.enablePush, 2, false, code.protocol],
  [setting.enablePush, 0, true, code.none],
  [setting.enablePush, 1, true, code.protocol],
  [setting.initialWindowSize, 0x8000_0000, false, code.flowControl],
  [setting.frameSizeMax, 16_383, false, code.protocol],
  [setting.frameSizeMax, 16_384, false, code.none],
  [setting.frameSizeMax, 0xff_ffff, false, code.none],
  [setting.frameSizeMax, 0x100_0000, false, code.protocol],
  [setting.enableConnectProtocol, 2, true, code.protocol],
  [setting.headerListSizeMax, 1, false, code.none],
  [0, 1, false, code.none],
  [7, 1, false, code.none],
  [0xffff, 0xffff_ffff, true, code.none],
])('setting %i of %i, server %s: code %i', (id, value, server, error) => {
  expect(read([[id, value]], server)[0]).toBe(error);
});

test('extended CONNECT is not taken back', () => {
  const peer = defaultPeerSettings();
  expect(read([[setting.enableConnectProtocol, 0]], true, peer)[0]).toBe(code.none);
  expect(read([[setting.enableConnectProtocol, 1]], true, peer)[0]).toBe(code.none);
  expect(read([[setting.enableConnectProtocol, 0]], true, peer)[0]).toBe(code.protocol);
});

test('a length that is no multiple of six is a frame size error', () => {
  for (let length = 0; length < 20; length++) {
    const error = readSettings(defaultPeerSettings(), Buffer.alloc(length), 0, length, false);
    expect(error).toBe(length % 6 === 0 ? code.none : code.frameSize);
  }
});

test('more settings in a frame than there are is a flood', () => {
  const many = Array.from({ length: 33 }, () => [9, 0] as const);
  expect(read(many.slice(1))[0]).toBe(code.none);
  expect(read(many)[0]).toBe(code.enhanceYourCalm);
});
