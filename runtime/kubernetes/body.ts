// The body of a reply as text, up to a limit.

/** Rejects as soon as there are more than `bytesMax`; leaving the loop gives the connection up. */
export async function readText(body: AsyncIterable<Buffer>, bytesMax: number): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > bytesMax) throw new Error(`the reply has more than ${bytesMax} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
