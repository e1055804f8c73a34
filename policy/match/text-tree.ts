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

interface Node<Item> {
  /** The characters between the parent and this node, in walking order. */
  label: string;
  whole: Item[] | null;
  partial: Item[] | null;
  children: Map<number, Node<Item>> | null;
}

export class TextTree<Item> {
  readonly #root: Node<Item> = newNode('');
  readonly #step: 1 | -1;
  readonly #fold: boolean;

  constructor(options: TextTreeOptions = {}) {
    this.#step = options.backward === true ? -1 : 1;
    this.#fold = options.fold === true;
  }

  /** @param form exact: found only by an equal text; open: also by every longer one */
  insert(text: string, form: 'exact' | 'open', item: Item): void {
    const ordered = this.#step === 1 ? text : reverse(text);
    const node = this.#reach(ordered);
    if (form === 'exact') (node.whole ??= []).push(item);
    else (node.partial ??= []).push(item);
  }

  /** Visits every stored text that `text` between `from` and `to` equals or extends. */
  walk(text: string, from: number, to: number, visitor: Visitor<Item>): void {
    const step = this.#step;
    const stop = step === 1 ? to : from - 1;
    let at = step === 1 ? from : to - 1;
    let node = this.#root;
    for (;;) {
      if (node.partial !== null) visitor.visit(node.partial);
      if (at === stop) {
        if (node.whole !== null) visitor.visit(node.whole);
        return;
      }
      const child = this.#descend(node, text, at, stop);
      if (child === null) return;
      at += step * child.label.length;
      node = child;
    }
  }

  /** Visits everything. */
  visitAll(visitor: Visitor<Item>): void {
    const open = [this.#root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (node.partial !== null) visitor.visit(node.partial);
      if (node.whole !== null) visitor.visit(node.whole);
      if (node.children !== null) open.push(...node.children.values());
    }
  }

  /** Whether any stored text is met by a walk. */
  has(text: string, from: number, to: number): boolean {
    const step = this.#step;
    const stop = step === 1 ? to : from - 1;
    let at = step === 1 ? from : to - 1;
    let node = this.#root;
    for (;;) {
      if (node.partial !== null) return true;
      if (at === stop) return node.whole !== null;
      const child = this.#descend(node, text, at, stop);
      if (child === null) return false;
      at += step * child.label.length;
      node = child;
    }
  }

  /** The child whose whole label stands in `text` at `at`; null when none does. */
  #descend(node: Node<Item>, text: string, at: number, stop: number): Node<Item> | null {
    const child = node.children?.get(this.#code(text, at));
    if (child === undefined) return null;
    const label = child.label;
    const step = this.#step;
    if ((stop - at) * step < label.length) return null;
    for (let i = 1; i < label.length; i++) {
      if (this.#code(text, at + i * step) !== label.charCodeAt(i)) return null;
    }
    return child;
  }

  #code(text: string, at: number): number {
    const code = text.charCodeAt(at);
    return this.#fold && code >= 65 && code <= 90 ? code + 32 : code;
  }

  /** The node of a text, made (and an edge split for it) where there is none yet. */
  #reach(text: string): Node<Item> {
    let node = this.#root;
    let at = 0;
    while (at < text.length) {
      const children = (node.children ??= new Map());
      const child = children.get(text.charCodeAt(at));
      if (child === undefined) {
        const leaf = newNode<Item>(text.slice(at));
        children.set(text.charCodeAt(at), leaf);
        return leaf;
      }
      const shared = sharedLength(child.label, text, at);
      if (shared < child.label.length) {
        const middle = newNode<Item>(child.label.slice(0, shared));
        child.label = child.label.slice(shared);
        middle.children = new Map([[child.label.charCodeAt(0), child]]);
        children.set(text.charCodeAt(at), middle);
        node = middle;
      } else {
        node = child;
      }
      at += shared;
    }
    return node;
  }
}

function newNode<Item>(label: string): Node<Item> {
  return { label, whole: null, partial: null, children: null };
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
