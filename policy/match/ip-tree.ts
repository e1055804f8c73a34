// A binary tree over address bits: finds every stored block that holds an address, without allocating.
import type { IpAddress, IpBlock } from './ip.ts';
import type { Visitor } from './text-tree.ts';

interface Node<Item> {
  items: Item[] | null;
  zero: Node<Item> | null;
  one: Node<Item> | null;
}

export class IpTree<Item> {
  readonly #v4: Node<Item> = newNode();
  readonly #v6: Node<Item> = newNode();

  insert(block: IpBlock, item: Item): void {
    let node = block.version === 4 ? this.#v4 : this.#v6;
    for (let bit = 0; bit < block.length; bit++) {
      const word = block.words[bit >>> 5] ?? 0;
      node =
        ((word >>> (31 - (bit & 31))) & 1) === 1
          ? (node.one ??= newNode())
          : (node.zero ??= newNode());
    }
    (node.items ??= []).push(item);
  }

  walk(address: IpAddress, visitor: Visitor<Item>): void {
    if (address.version === 0) return;
    const bits = address.version === 4 ? 32 : 128;
    let node: Node<Item> | null = address.version === 4 ? this.#v4 : this.#v6;
    for (let bit = 0; node !== null; bit++) {
      if (node.items !== null) visitor.visit(node.items);
      if (bit === bits) return;
      const word = address.words[bit >>> 5] ?? 0;
      node = ((word >>> (31 - (bit & 31))) & 1) === 1 ? node.one : node.zero;
    }
  }
}

function newNode<Item>(): Node<Item> {
  return { items: null, zero: null, one: null };
}
