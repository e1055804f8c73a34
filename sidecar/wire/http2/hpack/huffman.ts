// The Huffman code of HPACK (RFC 7541 appendix B), decoded four bits at a time.

/**
 * Bits of each symbol's code, as a digit of base 36; the last is EOS. The code is canonical: codes
 * of one length count up in the order of their symbols, shorter ones first.
 */
const lengths =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq' +
  'u';
const eos = 256;
const root = 0;
/** A symbol that a step completes, and none. */
const noSymbol = -1;

interface Machine {
  /** `state * 16 + nibble` -> state; `failed`: EOS, which may not stand in a string. */
  readonly next: Int16Array;
  readonly symbol: Int16Array;
  /** 1: a string may end here: what is left are at most seven bits, all ones. */
  readonly accepting: Uint8Array;
}

const failed = -1;
const { next, symbol, accepting } = buildMachine();

/**
 * Decodes `from…to` into `out`, which has room for `decodedBytesMax(to - from)`.
 * @returns bytes written, -1: malformed (RFC 7541 5.2)
 */
export function decodeHuffman(source: Buffer, from: number, to: number, out: Buffer): number {
  let state = root;
  let length = 0;
  for (let i = from; i < to; i++) {
    const byte = source[i]!;
    let at = (state << 4) | (byte >> 4);
    state = next[at]!;
    if (state === failed) return -1;
    if (symbol[at] !== noSymbol) out[length++] = symbol[at]!;
    at = (state << 4) | (byte & 15);
    state = next[at]!;
    if (state === failed) return -1;
    if (symbol[at] !== noSymbol) out[length++] = symbol[at]!;
  }
  return accepting[state] === 1 ? length : -1;
}

/** The shortest code has five bits. */
export function decodedBytesMax(encodedBytes: number): number {
  return Math.ceil((encodedBytes * 8) / 5);
}

/** A node's two children: a node's number, or `-2 - symbol`; 0: none yet. */
type Tree = [number, number][];

function buildTree(): Tree {
  const tree: Tree = [[0, 0]];
  const bitsOf = Array.from(lengths, (digit) => Number.parseInt(digit, 36));
  const order = bitsOf.map((_, i) => i).toSorted((a, b) => bitsOf[a]! - bitsOf[b]! || a - b);
  let code = 0;
  let bits = bitsOf[order[0]!]!;
  for (const one of order) {
    code *= 2 ** (bitsOf[one]! - bits);
    bits = bitsOf[one]!;
    insert(tree, code, bits, one);
    code++;
  }
  return tree;
}

function insert(tree: Tree, code: number, bits: number, symbolOf: number): void {
  let node = root;
  for (let bit = bits - 1; bit > 0; bit--) {
    const side = (code >>> bit) & 1;
    if (tree[node]![side] === 0) {
      tree.push([0, 0]);
      tree[node]![side] = tree.length - 1;
    }
    node = tree[node]![side]!;
  }
  tree[node]![code & 1] = -2 - symbolOf;
}

function buildMachine(): Machine {
  const tree = buildTree();
  const machine = {
    next: new Int16Array(tree.length * 16),
    symbol: new Int16Array(tree.length * 16).fill(noSymbol),
    accepting: new Uint8Array(tree.length),
  };
  for (let node = 0; node < tree.length; node++) {
    for (let nibble = 0; nibble < 16; nibble++) step(tree, machine, node, nibble);
  }
  // The states that ones alone lead to.
  for (let node = root, depth = 0; depth <= 7; depth++) {
    machine.accepting[node] = 1;
    node = tree[node]![1];
  }
  return machine;
}

function step(tree: Tree, machine: Machine, from: number, nibble: number): void {
  const at = from * 16 + nibble;
  let node = from;
  for (let bit = 3; bit >= 0; bit--) {
    const child = tree[node]![(nibble >> bit) & 1]!;
    if (child >= 0) {
      node = child;
      continue;
    }
    if (-2 - child === eos) {
      machine.next[at] = failed;
      return;
    }
    machine.symbol[at] = -2 - child;
    node = root;
  }
  machine.next[at] = node;
}
