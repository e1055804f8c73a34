// A radix tree over texts: finds every stored text that begins (or ends) a given one in one walk, without allocating.

export interface TextTreeOptions {
  /** Stored texts are compared from their last character on: prefixes become suffixes. */
  readonly backward?: boolean;
  /** ASCII letters compare equal in either case. Stored texts must be in lower case already. */
  readonly fold?: boolean;
}

/** Gets the items of each stored text that a walk meets. */
export interface Visitor<Item> {
  visit(items: readonly Item[]): void;
}

export class TextTree<Item> {
  private readonly root = new Node<Item>('');
  private readonly step: 1 | -1;
  private readonly fold: boolean;

  constructor(options: TextTreeOptions = {}) {
    this.step = options.backward === true ? -1 : 1;
    this.fold = options.fold === true;
  }

  /** @param form exact: found only by an equal text; open: also by every longer one */
  insert(text: string, form: 'exact' | 'open', item: Item): void {
    const node = reach(this.root, this.step === 1 ? text : reverse(text));
    if (form === 'exact') (node.whole ??= []).push(item);
    else (node.partial ??= []).push(item);
  }

  /** Visits every stored text that `text` between `from` and `to` equals or extends. */
  walk(text: string, from: number, to: number, visitor: Visitor<Item>): void {
    const { step, fold } = this;
    const stop = step === 1 ? to : from - 1;
    let at = step === 1 ? from : to - 1;
    let node = this.root;
    for (;;) {
      if (node.partial !== null) visitor.visit(node.partial);
      if (at === stop) {
        if (node.whole !== null) visitor.visit(node.whole);
        return;
      }
      const child = node.childAt(codeAt(text, at, fold));
      if (child === null || !bears(child.label, text, at, stop, step, fold)) return;
      at += step * child.label.length;
      node = child;
    }
  }

  /** Visits everything. */
  visitAll(visitor: Visitor<Item>): void {
    const open = [this.root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.partial !== null) visitor.visit(node.partial);
      if (node.whole !== null) visitor.visit(node.whole);
      for (const child of node.children) if (child !== null) open.push(child);
    }
  }

  /** Whether any stored text is met by a walk. */
  has(text: string, from: number, to: number): boolean {
    const { step, fold } = this;
    const stop = step === 1 ? to : from - 1;
    let at = step === 1 ? from : to - 1;
    let node = this.root;
    for (;;) {
      if (node.partial !== null) return true;
      if (at === stop) return node.whole !== null;
      const child = node.childAt(codeAt(text, at, fold));
      if (child === null || !bears(child.label, text, at, stop, step, fold)) return false;
      at += step * child.label.length;
      node = child;
    }
  }
}

class Node<Item> {
  /** The characters between the parent and this node, in walking order. */
  label: string;
  whole: Item[] | null = null;
  partial: Item[] | null = null;
  /** By their first character, from `firstCode` on: a look-up is one subtraction, and letters lie close together. */
  children: (Node<Item> | null)[] = [];
  firstCode = 0;

  constructor(label: string) {
    this.label = label;
  }

  childAt(code: number): Node<Item> | null {
    const place = code - this.firstCode;
    return place >= 0 && place < this.children.length ? (this.children[place] ?? null) : null;
  }

  setChild(code: number, child: Node<Item>): void {
    if (this.children.length === 0) this.firstCode = code;
    while (code < this.firstCode) {
      this.children.unshift(null);
      this.firstCode--;
    }
    while (code - this.firstCode >= this.children.length) this.children.push(null);
    this.children[code - this.firstCode] = child;
  }
}

function codeAt(text: string, at: number, fold: boolean): number {
  const code = text.charCodeAt(at);
  return fold && code >= 65 && code <= 90 ? code + 32 : code;
}

/** Whether a label, whose first character is known to fit, stands in a text. */
function bears(
  label: string,
  text: string,
  at: number,
  stop: number,
  step: 1 | -1,
  fold: boolean,
): boolean {
  const length = label.length;
  if ((stop - at) * step < length) return false;
  for (let i = 1; i < length; i++) {
    if (codeAt(text, at + i * step, fold) !== label.charCodeAt(i)) return false;
  }
  return true;
}

/** The node of a text, made (and an edge split for it) where there is none yet. */
function reach<Item>(root: Node<Item>, text: string): Node<Item> {
  let node = root;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    const child = node.childAt(code);
    if (child === null) {
      const leaf = new Node<Item>(text.slice(at));
      node.setChild(code, leaf);
      return leaf;
    }
    const shared = sharedLength(child.label, text, at);
    if (shared < child.label.length) {
      const middle = new Node<Item>(child.label.slice(0, shared));
      child.label = child.label.slice(shared);
      middle.setChild(child.label.charCodeAt(0), child);
      node.setChild(code, middle);
      node = middle;
    } else {
      node = child;
    }
    at += shared;
  }
  return node;
}

function sharedLength(label: string, text: string, at: number): number {
  const most = Math.min(label.length, text.length - at);
  let i = 0;
  while (i < most && label.charCodeAt(i) === text.charCodeAt(at + i)) i++;
  return i;
}

/** By UTF-16 unit, as a walk reads it. */
function reverse(text: string): string {
  let reversed = '';
  for (let i = text.length - 1; i >= 0; i--) reversed += text.charAt(i);
  return reversed;
}
