// Reads XML as JSON: attributes are `@name`, text beside them `#text`, elements that repeat arrays. No DTD, no entities but the five.

/** Text, or what is inside of an element by name. */
export type XmlValue = string | { [name: string]: XmlValue | XmlValue[] };

export class NotXml extends Error {}

const depthMax = 100;
const name = /[A-Za-z_\u00c0-\ufffd:][\w.\-:\u00b7\u00c0-\ufffd]*/y;
const space = /[ \t\r\n]*/y;
const entities: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/** `{ root: … }`. Throws NotXml. */
export function readXml(text: string): XmlValue {
  return new Reader(text).document();
}

class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text.startsWith('\ufeff') ? text.slice(1) : text;
  }

  document(): XmlValue {
    const declared = /^<\?xml\s[^?]*?encoding\s*=\s*["']([^"']*)["']/.exec(this.text)?.[1];
    if (declared !== undefined && !/^(?:utf-8|us-ascii)$/i.test(declared)) {
      throw new NotXml(`its encoding is ${declared}`);
    }
    this.misc();
    if (this.text[this.at] !== '<') throw new NotXml('it has no element');
    const root = emptyObject();
    const tag = this.openTag();
    root[tag.name] = this.element(tag, 1);
    this.misc();
    if (this.at !== this.text.length) throw new NotXml('something follows its element');
    return root;
  }

  /** Blanks, comments and instructions outside of the element. A DTD is refused with all else that begins so. */
  private misc(): void {
    for (;;) {
      this.skip(space);
      if (!this.aside()) return;
    }
  }

  /** @returns whether a comment or an instruction was passed over */
  private aside(): boolean {
    if (this.text.startsWith('<!--', this.at)) this.past('-->', 4);
    else if (this.text.startsWith('<?', this.at)) this.past('?>', 2);
    else if (this.text.startsWith('<!', this.at) && !this.text.startsWith('<![CDATA[', this.at)) {
      throw new NotXml('it has a DTD');
    } else return false;
    return true;
  }

  private element({ attributes, name: own, closed }: Tag, depth: number): XmlValue {
    if (depth > depthMax) throw new NotXml(`it is deeper than ${depthMax} elements`);
    let text = '';
    let named = attributes.length > 0;
    const inside = emptyObject();
    for (const [key, value] of attributes) inside[`@${key}`] = value;
    for (let open = !closed; open;) {
      const next = this.text.indexOf('<', this.at);
      if (next === -1) throw new NotXml(`<${own}> does not end`);
      text += unescape(this.text.slice(this.at, next));
      this.at = next;
      if (this.text.startsWith('</', next)) open = false;
      else if (this.text.startsWith('<![CDATA[', next)) text += this.past(']]>', 9);
      else if (!this.aside()) {
        const tag = this.openTag();
        add(inside, tag.name, this.element(tag, depth + 1));
        named = true;
      }
    }
    if (!closed) this.closeTag(own);
    if (!named) return text;
    if (text.trim() !== '') inside['#text'] = text.trim();
    return inside;
  }

  private openTag(): Tag {
    this.at += 1;
    const own = this.name();
    const attributes = new Map<string, string>();
    for (;;) {
      const blank = this.skip(space) > 0;
      if (this.take('>')) return { name: own, attributes: [...attributes], closed: false };
      if (this.take('/>')) return { name: own, attributes: [...attributes], closed: true };
      if (!blank) throw new NotXml(`the tag of ${own} is broken`);
      const key = this.name();
      this.skip(space);
      this.need('=');
      this.skip(space);
      const quote = this.text[this.at];
      if (quote !== '"' && quote !== "'") throw new NotXml(`the attribute ${key} has no quotes`);
      const value = this.past(quote, 1);
      if (value.includes('<') || attributes.has(key)) throw new NotXml(`attribute ${key}`);
      attributes.set(key, unescape(value));
    }
  }

  private closeTag(own: string): void {
    this.need('</');
    if (this.name() !== own) throw new NotXml(`<${own}> is not closed`);
    this.skip(space);
    this.need('>');
  }

  private name(): string {
    const from = this.at;
    if (this.skip(name) === 0) throw new NotXml('a name is missing');
    return this.text.slice(from, this.at);
  }

  /** @returns how many characters */
  private skip(pattern: RegExp): number {
    pattern.lastIndex = this.at;
    const length = pattern.exec(this.text)?.[0].length ?? 0;
    this.at += length;
    return length;
  }

  private take(text: string): boolean {
    if (!this.text.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  private need(text: string): void {
    if (!this.take(text)) throw new NotXml(`${text} is missing`);
  }

  /** Goes behind the next `end`. @param from where it may be @returns what is before it */
  private past(end: string, from: number): string {
    const start = this.at + from;
    const to = this.text.indexOf(end, start);
    if (to === -1) throw new NotXml(`${end} is missing`);
    this.at = to + end.length;
    return this.text.slice(start, to);
  }
}

interface Tag {
  readonly name: string;
  readonly attributes: readonly (readonly [string, string])[];
  readonly closed: boolean;
}

type XmlObject = Exclude<XmlValue, string>;

/** Whatever names come, none means anything to it. */
function emptyObject(): XmlObject {
  return Object.create(null) as XmlObject;
}

function add(inside: XmlObject, key: string, value: XmlValue): void {
  const before = inside[key];
  if (before === undefined) inside[key] = value;
  else if (Array.isArray(before)) before.push(value);
  else inside[key] = [before, value];
}

function unescape(text: string): string {
  if (!text.includes('&')) return text;
  return text.replaceAll(/&([^;&]{0,12});?/g, (whole, entity: string) => {
    const known =
      whole.endsWith(';') && Object.hasOwn(entities, entity) ? entities[entity] : undefined;
    if (known !== undefined) return known;
    const [, hex, decimal] = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(entity) ?? [];
    const code = hex === undefined ? Number(decimal ?? Number.NaN) : Number.parseInt(hex, 16);
    if (!whole.endsWith(';') || !isCharacter(code)) throw new NotXml(`the entity ${whole}`);
    return String.fromCodePoint(code);
  });
}

/** XML 1.0, production 2. */
function isCharacter(code: number): boolean {
  if (code < 0x20) return code === 9 || code === 10 || code === 13;
  return (
    code <= 0xd7ff || (code >= 0xe000 && code <= 0xfffd) || (code > 0xffff && code <= 0x10ffff)
  );
}
