// What a collector says of spans that it took: an ExportTraceServiceResponse of OTLP.
import { ProtobufError, readFields } from '../../authorizer/protobuf.ts';

export interface PartialSuccess {
  /** Not kept, and not to be sent again. */
  readonly rejectedSpans: number;
  /** Why, or a warning where all were taken; '': none. One line. */
  readonly message: string;
}

const nothingSaid: PartialSuccess = { rejectedSpans: 0, message: '' };
const messageCharsMax = 200;

/** An answer that cannot be read says nothing: by its status the spans were taken. */
export function readPartialSuccess(answer: Buffer): PartialSuccess {
  try {
    return read(answer);
  } catch (error) {
    if (error instanceof ProtobufError) return nothingSaid;
    throw error;
  }
}

function read(answer: Buffer): PartialSuccess {
  let rejectedSpans = 0;
  let message = '';
  readFields(answer, (field, partialSuccess) => {
    if (field !== 1 || typeof partialSuccess === 'number') return;
    readFields(partialSuccess, (inner, value) => {
      if (inner === 1 && typeof value === 'number') rejectedSpans = Math.max(0, value);
      if (inner === 2 && typeof value !== 'number') message = lineOf(value.toString('utf8'));
    });
  });
  return { rejectedSpans, message };
}

/** It goes into our own log, and may have been written by anyone. */
function lineOf(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, messageCharsMax)
    .toWellFormed()
    .trim();
}
