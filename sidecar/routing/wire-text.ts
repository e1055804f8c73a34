// Texts of requests made fit for lines of an answer that the sidecar writes itself, one byte a character.

const notPlain = /[^\t\x20-\x7e]/;
const breaking = /[\0\r\n]/g;
const notUri = /[^\x21-\x7e]/gu;

/** A field value: UTF-8, one byte a character, so that no character turns into a line break when it is cut. */
export function fieldText(value: string): string {
  if (!notPlain.test(value)) return value;
  return Buffer.from(value.replaceAll(breaking, ' ')).toString('latin1');
}

/** A URI: what none may have is percent-encoded. */
export function uriText(value: string): string {
  return value.replaceAll(notUri, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}
