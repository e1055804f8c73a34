// Turns a parsed YAML document into plain JSON values and the offset of every node, within bounds:
// aliases are counted as written out.
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';

import { joinIndex, joinKey } from './origin.ts';

export interface Flat {
  readonly value: unknown;
  /** Offset in the text of each node, by its path. The root's path is ''. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Scalars as written where they are not strings. */
  readonly sources: ReadonlyMap<string, string>;
  /** Block scalars (`|`): where their text begins. */
  readonly blocks: ReadonlyMap<string, number>;
}

export interface FlattenLimits {
  readonly nodesMax: number;
  readonly depthMax: number;
}

/** The document is no tree of JSON values, or too large a one. */
export class Refusal {
  readonly offset: number;
  readonly code: string;
  readonly message: string;
  readonly mend: string;

  constructor(offset: number, code: string, message: string, mend: string) {
    this.offset = offset;
    this.code = code;
    this.message = message;
    this.mend = mend;
  }
}

/** Never throws. */
export function flatten(document: Document.Parsed, limits: FlattenLimits): Flat | Refusal {
  const walk = new Walk(limits);
  try {
    const value = walk.node(document.contents, '', 0);
    return { value, offsets: walk.offsets, sources: walk.sources, blocks: walk.blocks };
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

class Walk {
  readonly offsets = new Map<string, number>();
  readonly sources = new Map<string, string>();
  readonly blocks = new Map<string, number>();
  private readonly limits: FlattenLimits;
  /** Kept here: the parser's own resolution of an alias walks the whole document each time. */
  private readonly anchors = new Map<string, Node>();
  /** Anchored nodes that are being written out: an alias to one of them never ends. */
  private readonly open = new Set<Node>();
  private nodes = 0;
  /**
   * Depth of aliases being written out, and of merges, whose parts give way to what stands there.
   */
  private aliases = 0;
  private merges = 0;

  constructor(limits: FlattenLimits) {
    this.limits = limits;
  }

  node(node: unknown, path: string, depth: number): unknown {
    this.count(node, depth);
    if (isAlias(node)) return this.alias(node, path, depth);
    if (isMap(node)) return this.nested(node, () => this.map(node, path, depth));
    if (isSeq(node)) return this.nested(node, () => this.list(node, path, depth));
    if (isScalar(node)) return this.scalar(node, path);
    return null;
  }

  private count(node: unknown, depth: number): void {
    this.nodes++;
    if (this.nodes > this.limits.nodesMax) {
      const message = `the document has over ${this.limits.nodesMax} nodes, aliases written out`;
      throw new Refusal(
        offsetOf(node),
        'yaml-too-large',
        message,
        'split it, or use fewer aliases',
      );
    }
    if (depth > this.limits.depthMax) {
      const message = `the document is nested more than ${this.limits.depthMax} deep`;
      throw new Refusal(offsetOf(node), 'yaml-too-deep', message, 'flatten it');
    }
  }

  private nested<T>(node: Node, read: () => T): T {
    if (this.open.has(node)) {
      const message = 'an alias stands inside the node that it repeats: that would never end';
      throw new Refusal(offsetOf(node), 'yaml-alias-endless', message, 'write the node out');
    }
    this.anchor(node);
    this.open.add(node);
    const value = read();
    this.open.delete(node);
    return value;
  }

  private anchor(node: Node): void {
    // Written out a second time, a node must not take its name back from a later one.
    if (this.aliases > 0 || !('anchor' in node) || typeof node.anchor !== 'string') return;
    this.anchors.set(node.anchor, node);
  }

  private alias(alias: Alias, path: string, depth: number): unknown {
    const target = this.resolve(alias);
    this.place(path, offsetOf(alias));
    this.aliases++;
    const value = this.node(target, path, depth + 1);
    this.aliases--;
    // Messages about the node itself point to its use; those about its parts to the anchor.
    this.place(path, offsetOf(alias));
    return value;
  }

  private resolve(node: unknown): unknown {
    if (!isAlias(node)) return node;
    const target = this.anchors.get(node.source);
    if (target !== undefined) return target;
    const message = `*${node.source} is an alias, and there is no &${node.source} above it`;
    const mend = `if the text is meant, put it in quotes: "*${node.source}"`;
    throw new Refusal(offsetOf(node), 'yaml-alias-unknown', message, mend);
  }

  private map(map: YAMLMap, path: string, depth: number): Record<string, unknown> {
    if (path === '') this.place('', offsetOf(map));
    const value: Record<string, unknown> = {};
    const merged: { source: unknown; offset: number }[] = [];
    for (const pair of map.items) {
      if (isMergePair(pair)) {
        merged.push({ source: this.resolve(pair.value), offset: offsetOf(pair.value) });
        continue;
      }
      const key = this.key(pair.key);
      if (Object.hasOwn(value, key)) {
        const message = `the key "${key}" stands twice in one mapping: one would be lost`;
        throw new Refusal(offsetOf(pair.key), 'yaml-key-duplicate', message, 'keep one of them');
      }
      const at = joinKey(path, key);
      // A scalar or alias is found by itself, all else by its key.
      if (!isAlias(pair.value) && !isInline(pair.value)) this.place(at, offsetOf(pair.key));
      define(value, key, this.node(pair.value, at, depth + 1));
    }
    for (const { source, offset } of merged) this.merge(value, source, offset, path, depth);
    return value;
  }

  /**
   * `<<: *base` and `<<: [*a, *b]`: keys that stand in the mapping itself win, then earlier
   * sources.
   */
  private merge(
    into: Record<string, unknown>,
    source: unknown,
    offset: number,
    path: string,
    depth: number,
  ): void {
    this.count(source, depth);
    if (isSeq(source)) {
      for (const item of source.items) {
        this.merge(into, this.resolve(item), offsetOf(item), path, depth + 1);
      }
      return;
    }
    if (!isMap(source)) {
      const message = '`<<` merges mappings only';
      throw new Refusal(offset, 'yaml-merge', message, 'give it an alias of a mapping');
    }
    this.merges++;
    this.aliases++;
    const other = this.nested(source, () => this.map(source, path, depth + 1));
    this.aliases--;
    this.merges--;
    for (const [key, value] of Object.entries(other)) {
      if (!Object.hasOwn(into, key)) define(into, key, value);
    }
  }

  private list(list: YAMLSeq, path: string, depth: number): unknown[] {
    return list.items.map((item, index) => {
      const at = joinIndex(path, index);
      if (!isAlias(item)) this.place(at, offsetOf(item));
      return this.node(item, at, depth + 1);
    });
  }

  /**
   * Kubernetes turns YAML into JSON, whose keys are strings: `8080:` is "8080", `on:` is "true".
   */
  private key(key: unknown): string {
    const node = this.resolve(key);
    if (isScalar(node)) this.anchor(node);
    const value = isScalar(node) ? jsonOf(node) : null;
    if (value === null) {
      const message = 'a key of a mapping must be a plain word, number or string';
      throw new Refusal(offsetOf(key), 'yaml-key', message, 'write a string as the key');
    }
    return String(value);
  }

  private scalar(node: Scalar, path: string): unknown {
    this.anchor(node);
    if (!this.offsets.has(path)) this.place(path, offsetOf(node));
    const value = jsonOf(node);
    if (typeof value !== 'string' && node.source !== undefined) this.sources.set(path, node.source);
    if (isBlock(node) && node.range) this.blocks.set(path, node.range[0]);
    return value;
  }

  private place(path: string, offset: number): void {
    if (this.merges > 0 && this.offsets.has(path)) return;
    this.offsets.set(path, offset);
  }
}

/** A scalar that stands on the line of its key. */
function isInline(node: unknown): boolean {
  return isScalar(node) && node.value !== null && !isBlock(node);
}

function isBlock(node: Scalar): boolean {
  return node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED';
}

function isMergePair(pair: Pair): boolean {
  return isScalar(pair.key) && typeof pair.key.value === 'symbol';
}

function jsonOf(node: Scalar): string | number | boolean | null {
  const { value } = node;
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  // JSON has no infinity: Kubernetes refuses it too, as a string where a number belongs.
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  return node.source ?? '';
}

/** `__proto__` is a key like any other. */
function define(into: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(into, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

function offsetOf(node: unknown): number {
  if (typeof node !== 'object' || node === null || !('range' in node)) return 0;
  const range = node.range;
  return Array.isArray(range) && typeof range[0] === 'number' ? range[0] : 0;
}
