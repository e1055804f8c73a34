// The names a certificate request asks for: read only to refuse those of somebody else.
import { tags } from '#runtime/tls/der.ts';
import { DerError, DerReader, readOid } from './der-reader.ts';

export interface RequestedNames {
  /** URIs of the subject alternative name. */
  readonly uris: readonly string[];
  /** Its other names, with their kind: `DNS:example.com`. */
  readonly others: readonly string[];
  /** Texts of the subject. */
  readonly subject: readonly string[];
  /** basicConstraints with CA: true. */
  readonly asksForCa: boolean;
}

const extensionRequest = '1.2.840.113549.1.9.14';
const subjectAltName = '2.5.29.17';
const basicConstraints = '2.5.29.19';
const stringTags: readonly number[] = [0x0c, 0x13, 0x14, 0x16, 0x1a, 0x1e];
/** GeneralName of RFC 5280 section 4.2.1.6, by its context tag. */
const kinds: Readonly<Record<number, string>> = {
  0: 'other',
  1: 'email',
  2: 'DNS',
  3: 'x400',
  4: 'directory',
  5: 'edi',
  7: 'IP',
  8: 'OID',
};

/** From the contents of `subject` (RDNSequence) and of `attributes` (SET OF Attribute). Throws DerError. */
export function readRequestedNames(subject: Buffer, attributes: Buffer): RequestedNames {
  const names = { uris: [] as string[], others: [] as string[], asksForCa: false };
  const reader = new DerReader(attributes);
  while (!reader.atEnd) {
    const attribute = new DerReader(reader.take(tags.sequence).content);
    const type = readOid(attribute.take(tags.oid).content);
    const values = new DerReader(attribute.take(tags.set).content);
    attribute.end();
    if (type !== extensionRequest) continue;
    const extensions = new DerReader(values.take(tags.sequence).content);
    values.end();
    while (!extensions.atEnd) readExtension(extensions.take(tags.sequence).content, names);
  }
  return { ...names, subject: readSubject(subject) };
}

interface Collected {
  readonly uris: string[];
  readonly others: string[];
  asksForCa: boolean;
}

function readExtension(content: Buffer, names: Collected): void {
  const extension = new DerReader(content);
  const type = readOid(extension.take(tags.oid).content);
  if (extension.nextTag === tags.boolean) extension.take(tags.boolean);
  const value = new DerReader(extension.take(tags.octetString).content);
  extension.end();
  if (type === subjectAltName) {
    const list = new DerReader(value.take(tags.sequence).content);
    value.end();
    while (!list.atEnd) readGeneralName(list, names);
  } else if (type === basicConstraints) {
    const fields = new DerReader(value.take(tags.sequence).content);
    value.end();
    if (fields.nextTag === tags.boolean) {
      names.asksForCa ||= fields.take(tags.boolean).content[0] !== 0;
    }
  }
}

function readGeneralName(list: DerReader, names: Collected): void {
  const { tag, content } = list.takeAny();
  if ((tag & 0xc0) !== 0x80) throw new DerError('a subject alternative name without its kind');
  const number = tag & 0x1f;
  if (number === 6) {
    names.uris.push(content.toString('latin1'));
    return;
  }
  const text = number === 7 ? content.toString('hex') : content.toString('latin1');
  names.others.push(`${kinds[number] ?? number}:${printable(text)}`);
}

function readSubject(content: Buffer): string[] {
  const texts: string[] = [];
  const reader = new DerReader(content);
  while (!reader.atEnd) {
    const set = new DerReader(reader.take(tags.set).content);
    while (!set.atEnd) {
      const pair = new DerReader(set.take(tags.sequence).content);
      pair.take(tags.oid);
      const value = pair.takeAny();
      pair.end();
      if (stringTags.includes(value.tag)) texts.push(value.content.toString('latin1'));
    }
  }
  return texts;
}

/** What goes into a message and a log line must not carry control characters. */
function printable(text: string): string {
  return text.slice(0, 200).replace(/[^\x20-\x7e]/g, '?');
}
