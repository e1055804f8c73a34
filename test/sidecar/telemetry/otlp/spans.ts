// Reads an ExportTraceServiceRequest of OTLP, field by field as opentelemetry/proto/trace/v1/trace.proto numbers them.

export interface SentSpan {
  readonly resource: Record<string, unknown>;
  readonly traceId: string;
  readonly spanId: string;
  /** '' without one. */
  readonly parentId: string;
  readonly name: string;
  /** 2: server, 3: client. */
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Record<string, unknown>;
  readonly events: { name: string; timeNs: bigint; attributes: Record<string, unknown> }[];
  /** 0: unset, 2: error. */
  readonly status: number;
}

export function readSpans(request: Buffer): SentSpan[] {
  return all(request, 1).flatMap((group) => {
    const resource = attributesOf(one(group, 1), 1);
    return all(group, 2).flatMap((scope) => all(scope, 2).map((span) => readSpan(span, resource)));
  });
}

function readSpan(span: Buffer, resource: Record<string, unknown>): SentSpan {
  return {
    resource,
    traceId: one(span, 1).toString('hex'),
    spanId: one(span, 2).toString('hex'),
    parentId: one(span, 4).toString('hex'),
    name: one(span, 5).toString(),
    kind: numberAt(span, 6),
    startNs: one(span, 7).readBigUInt64LE(),
    endNs: one(span, 8).readBigUInt64LE(),
    attributes: attributesOf(span, 9),
    events: all(span, 11).map((event) => ({
      name: one(event, 2).toString(),
      timeNs: one(event, 1).readBigUInt64LE(),
      attributes: attributesOf(event, 3),
    })),
    status: numberAt(one(span, 15), 3),
  };
}

function attributesOf(message: Buffer, field: number): Record<string, unknown> {
  return Object.fromEntries(
    all(message, field).map((pair) => [one(pair, 1).toString(), valueOf(one(pair, 2))]),
  );
}

function valueOf(value: Buffer): unknown {
  const [found] = fields(value);
  if (found === undefined) return undefined;
  const { number, bytes, varint } = found;
  if (number === 1) return bytes.toString();
  if (number === 2) return varint === 1n;
  return number === 4 ? bytes.readDoubleLE() : Number(BigInt.asIntN(64, varint));
}

interface Field {
  readonly number: number;
  readonly bytes: Buffer;
  readonly varint: bigint;
}

function one(message: Buffer, number: number): Buffer {
  return all(message, number)[0] ?? Buffer.alloc(0);
}

function all(message: Buffer, number: number): Buffer[] {
  return fields(message)
    .filter((field) => field.number === number)
    .map(({ bytes }) => bytes);
}

function numberAt(message: Buffer, number: number): number {
  return Number(fields(message).find((field) => field.number === number)?.varint ?? 0);
}

function fields(message: Buffer): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) throw new Error('the message ends within a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const none = Buffer.alloc(0);
  while (at < message.length) {
    const key = Number(varint());
    const wire = key & 7;
    const number = key >> 3;
    if (wire === 0) {
      found.push({ number, bytes: none, varint: varint() });
      continue;
    }
    const length = wire === 1 ? 8 : wire === 5 ? 4 : Number(varint());
    found.push({ number, bytes: message.subarray(at, at + length), varint: 0n });
    at += length;
  }
  return found;
}
