// Removes and renames fields of a JSON text, and leaves every other byte of it as it is: numbers, order, repeated names.
import { EACH, readJsonPath } from '#api/json-path.ts';
import type { JsonEditsSpec } from '#api/kinds/transformation.ts';

/** What becomes of the fields of one object, or of the elements of one array. */
export interface JsonNode {
  readonly fields: Map<string, JsonField>;
  each: JsonNode | null;
}

interface JsonField {
  removed: boolean;
  /** With its quotes; '' leaves the name. */
  renamed: string;
  renamedTo: string;
  inside: JsonNode | null;
}

const depthMax = 256;

/** Throws for a path that is none. */
export function compileJsonEdits({ remove = [], rename = [] }: JsonEditsSpec): JsonNode {
  const root = newNode();
  for (const path of remove) fieldAt(root, path).removed = true;
  for (const { from, to } of rename) {
    const field = fieldAt(root, from);
    field.renamedTo = bytesOf(to);
    field.renamed = bytesOf(JSON.stringify(to));
  }
  return root;
}

/** @returns the same buffer where nothing is edited; null: it is no JSON, or too deep */
export function editJson(body: Buffer, edits: JsonNode): Buffer | null {
  const text = body.toString('latin1');
  const editor = new Editor(text);
  try {
    const edited = editor.whole(edits);
    return edited === null ? body : Buffer.from(edited, 'latin1');
  } catch (error) {
    if (error instanceof NotJson) return null;
    throw error;
  }
}

class NotJson extends Error {}

interface Member {
  readonly name: string;
  /** The name with its quotes, as written. */
  readonly key: string;
  readonly value: string;
  readonly field: JsonField | undefined;
}

/** Reads one byte a character, so that what is copied stays what it was, whatever its encoding. */
class Editor {
  private readonly text: string;
  private at = 0;
  private depth = 0;

  constructor(text: string) {
    this.text = text;
  }

  whole(node: JsonNode): string | null {
    this.space();
    const start = this.at;
    const edited = this.value(node);
    const end = this.at;
    this.space();
    if (this.at !== this.text.length) throw new NotJson();
    return edited === null ? null : this.text.slice(0, start) + edited + this.text.slice(end);
  }

  /** @returns its new text; null: it stays */
  private value(node: JsonNode | null): string | null {
    const first = this.text.charCodeAt(this.at);
    if (first === brace) return this.nested(() => this.object(node));
    if (first === bracket) return this.nested(() => this.array(node?.each ?? null));
    if (first === quote) this.string();
    else this.scalar();
    return null;
  }

  private nested(read: () => string | null): string | null {
    if (++this.depth > depthMax) throw new NotJson();
    this.at += 1;
    const edited = read();
    this.depth -= 1;
    return edited;
  }

  private array(each: JsonNode | null): string | null {
    const parts: string[] = [];
    let edited = false;
    this.space();
    if (this.take(bracketEnd)) return null;
    for (;;) {
      this.space();
      const from = this.at;
      const value = this.value(each);
      edited ||= value !== null;
      if (each !== null) parts.push(value ?? this.text.slice(from, this.at));
      this.space();
      if (this.take(bracketEnd)) return edited ? `[${parts.join(',')}]` : null;
      this.expect(comma);
    }
  }

  private object(node: JsonNode | null): string | null {
    const members: Member[] = [];
    let edited = false;
    this.space();
    if (this.take(braceEnd)) return null;
    for (;;) {
      this.space();
      const keyFrom = this.at;
      this.string();
      const key = this.text.slice(keyFrom, this.at);
      const name = node === null ? '' : nameOf(key);
      const field = node?.fields.get(name);
      this.space();
      this.expect(colon);
      this.space();
      const from = this.at;
      const value = this.value(field?.inside ?? null);
      edited ||= value !== null || field?.removed === true || (field?.renamed ?? '') !== '';
      if (node !== null) {
        members.push({ name, key, value: value ?? this.text.slice(from, this.at), field });
      }
      this.space();
      if (this.take(braceEnd)) return edited ? written(members) : null;
      this.expect(comma);
    }
  }

  private string(): void {
    this.expect(quote);
    const { text } = this;
    for (;;) {
      const code = text.charCodeAt(this.at++);
      if (code === quote) return;
      if (code === backslash) {
        escape.lastIndex = this.at;
        if (!escape.test(text)) throw new NotJson();
        this.at = escape.lastIndex;
      } else if (!(code >= 0x20)) throw new NotJson();
    }
  }

  private scalar(): void {
    scalar.lastIndex = this.at;
    if (!scalar.test(this.text)) throw new NotJson();
    this.at = scalar.lastIndex;
  }

  private space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at += 1;
    }
  }

  private take(code: number): boolean {
    if (this.text.charCodeAt(this.at) !== code) return false;
    this.at += 1;
    return true;
  }

  private expect(code: number): void {
    if (!this.take(code)) throw new NotJson();
  }
}

/** A field that gets a new name takes the place of one that has it. */
function written(members: readonly Member[]): string {
  const taken = new Set<string>();
  for (const { field } of members) {
    if (field !== undefined && field.renamed !== '') taken.add(field.renamedTo);
  }
  const parts: string[] = [];
  for (const { name, key, value, field } of members) {
    if (field?.removed === true) continue;
    if (field !== undefined && field.renamed !== '') parts.push(`${field.renamed}:${value}`);
    else if (!taken.has(name)) parts.push(`${key}:${value}`);
  }
  return `{${parts.join(',')}}`;
}

/** What a name means, escapes read: `"pass\u0077ord"` is as good as `"password"`. */
function nameOf(key: string): string {
  if (!key.includes('\\')) return key.slice(1, -1);
  return bytesOf(String(JSON.parse(Buffer.from(key, 'latin1').toString())));
}

function fieldAt(root: JsonNode, path: string): JsonField {
  const steps = readJsonPath(path);
  if (typeof steps === 'string') throw new Error(steps);
  let node = root;
  for (const [i, step] of steps.entries()) {
    if (step === EACH) {
      node = node.each ??= newNode();
      continue;
    }
    const name = bytesOf(step);
    let field = node.fields.get(name);
    if (field === undefined) {
      field = { removed: false, renamed: '', renamedTo: '', inside: null };
      node.fields.set(name, field);
    }
    if (i === steps.length - 1) return field;
    node = field.inside ??= newNode();
  }
  throw new Error(`"${path}" names no field`);
}

function newNode(): JsonNode {
  return { fields: new Map(), each: null };
}

/** UTF-8, one byte a character. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}

const brace = 0x7b;
const braceEnd = 0x7d;
const bracket = 0x5b;
const bracketEnd = 0x5d;
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const escape = /["\\/bfnrt]|u[0-9a-fA-F]{4}/y;
const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
