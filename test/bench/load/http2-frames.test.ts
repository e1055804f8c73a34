import { expect, test } from 'vitest';

import { flags, frame, FrameReader, frames, settingsPayload, uint32 } from './http2-frames.ts';

const sent = Buffer.concat([
  frame(frames.settings, 0, 0, settingsPayload([[4, 65_535]])),
  frame(frames.settings, flags.ack, 0, Buffer.alloc(0)),
  frame(frames.headers, flags.endHeaders, 1, Buffer.of(0x88)),
  frame(frames.data, 0, 1, Buffer.alloc(100)),
  frame(frames.data, flags.endStream, 1, Buffer.alloc(0)),
  frame(frames.windowUpdate, 0, 0, uint32(1000)),
]);

test('frames are the same however their bytes are cut', () => {
  const whole = read([sent]);
  expect(whole.lines).toEqual([
    '4 0 0 6 bytes',
    '4 1 0 0 bytes',
    '1 4 1 1 bytes',
    'end of 1',
    '8 0 0 4 bytes',
  ]);
  for (let size = 1; size < sent.length; size += 1) {
    const chunks = Array.from({ length: Math.ceil(sent.length / size) }, (_, i) =>
      sent.subarray(i * size, (i + 1) * size),
    );
    expect(read(chunks)).toEqual(whole);
  }
});

function read(chunks: readonly Buffer[]): { lines: string[]; dataBytes: number } {
  const lines: string[] = [];
  let dataBytes = 0;
  const reader = new FrameReader({
    data: (stream, bytes, end) => {
      dataBytes += bytes;
      if (end) lines.push(`end of ${stream}`);
    },
    control: (type, flag, stream, payload) =>
      lines.push(`${type} ${flag} ${stream} ${payload.length} bytes`),
  });
  for (const chunk of chunks) reader.push(chunk);
  return { lines, dataBytes };
}
