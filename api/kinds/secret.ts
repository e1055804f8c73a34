// Secret (core v1): only the SHA-256 of each value is kept, whatever it is. The values themselves go nowhere.
import { createHash } from 'node:crypto';

import { z } from 'zod';

import type { Resource } from '../resource.ts';

type Texts = Readonly<Record<string, string>>;

const texts = z.record(z.string(), z.string()).optional();

export const secretSpec = z
  .object({
    data: texts,
    stringData: texts,
    /** In place of both, where they were hashed before. */
    hashes: texts,
  })
  .transform(({ data, stringData, hashes }) => ({ hashes: hashes ?? hashesOf(data, stringData) }));

/** SHA-256 in hexadecimal by the names of the values. @param data in base64 */
export function hashesOf(data: Texts = {}, stringData: Texts = {}): Texts {
  const values = [
    ...Object.entries(data).map(([name, text]) => [name, Buffer.from(text, 'base64')] as const),
    ...Object.entries(stringData).map(([name, text]) => [name, Buffer.from(text)] as const),
  ].map(([name, value]) => [name, withoutLineEnd(value)] as const);
  return Object.fromEntries(
    values
      .filter(([, value]) => value.length > 0)
      .map(([name, value]) => [name, createHash('sha256').update(value).digest('hex')]),
  );
}

/** `kubectl create secret --from-file` takes the line end of the file along. */
function withoutLineEnd(value: Buffer): Buffer {
  let end = value.length;
  while (end > 0 && (value[end - 1] === 0x0a || value[end - 1] === 0x0d)) end -= 1;
  return value.subarray(0, end);
}

export type SecretSpec = z.output<typeof secretSpec>;
export type SecretResource = Resource<'Secret', SecretSpec>;
