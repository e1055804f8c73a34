// Places a graph in layers, callers left and callees right: the same graph always looks the same.

export interface Sizes {
  readonly nodeWidth: number;
  readonly nodeHeight: number;
  readonly columnGap: number;
  readonly rowGap: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  /** Upper left corners. */
  readonly nodes: ReadonlyMap<string, Point>;
  /** In the order of the input: where each begins, passes between other nodes, and ends. */
  readonly edges: readonly (readonly Point[])[];
}

export type Link = readonly [from: string, to: string];

/** A node, or a place where a long edge crosses a layer. */
interface Slot {
  /** '' of a crossing. */
  readonly name: string;
  readonly height: number;
  layer: number;
  /** Its middle. */
  y: number;
  readonly before: Slot[];
  readonly after: Slot[];
}

const sweeps = 8;
const crossingHeight = 14;

export function layOut(names: readonly string[], links: readonly Link[], sizes: Sizes): Layout {
  const sorted = names.toSorted();
  const forward = withoutCycles(sorted, links);
  const ranks = ranksOf(sorted, forward);
  const slots = new Map(
    sorted.map((name) => [name, slotOf(name, ranks.get(name) ?? 0, sizes.nodeHeight)]),
  );
  const layers: Slot[][] = [];
  for (const slot of slots.values()) (layers[slot.layer] ??= []).push(slot);
  const paths = forward.map(([from, to]) => thread(slots, layers, from, to));
  for (let i = 0; i < sweeps; i += 1) order(layers, i % 2 === 0);
  settle(layers, sizes.rowGap);
  return drawn(layers, paths, { links, forward, slots }, sizes);
}

function slotOf(name: string, layer: number, height: number): Slot {
  return { name, layer, height, y: 0, before: [], after: [] };
}

/** The same links, those turned round that would lead back. */
function withoutCycles(names: readonly string[], links: readonly Link[]): Link[] {
  const after = Map.groupBy(links, ([from]) => from);
  const called = new Set(links.filter(([from, to]) => from !== to).map(([, to]) => to));
  const state = new Map<string, 'open' | 'done'>();
  const back = new Set<Link>();
  const visit = (name: string): void => {
    state.set(name, 'open');
    for (const link of after.get(name) ?? []) {
      const at = state.get(link[1]);
      if (at === 'open') back.add(link);
      else if (at === undefined) visit(link[1]);
    }
    state.set(name, 'done');
  };
  // Those whom nobody calls first: what they call is to be on their right.
  const starts = [...names.filter((n) => !called.has(n)), ...names.filter((n) => called.has(n))];
  for (const name of starts) if (!state.has(name)) visit(name);
  return links.map((link) => (back.has(link) ? [link[1], link[0]] : link));
}

/** The longest way from a node that nobody calls; those themselves stand just before what they call. */
function ranksOf(names: readonly string[], links: readonly Link[]): Map<string, number> {
  const ranks = new Map(names.map((name) => [name, 0]));
  const rank = (name: string): number => ranks.get(name) ?? 0;
  const real = links.filter(([from, to]) => from !== to);
  for (let round = 0, moved = true; moved && round < names.length; round += 1) {
    moved = false;
    for (const [from, to] of real) {
      if (rank(to) > rank(from)) continue;
      ranks.set(to, rank(from) + 1);
      moved = true;
    }
  }
  for (const name of names) {
    if (real.some(([, to]) => to === name)) continue;
    const callees = real.filter(([from]) => from === name).map(([, to]) => rank(to));
    if (callees.length > 0) ranks.set(name, Math.min(...callees) - 1);
  }
  return ranks;
}

/** Leads an edge through a slot of each layer between its ends. */
function thread(
  slots: ReadonlyMap<string, Slot>,
  layers: Slot[][],
  from: string,
  to: string,
): Slot[] {
  const [start, end] = [slots.get(from), slots.get(to)];
  if (start === undefined || end === undefined || start === end) return [];
  const path = [start];
  for (let layer = start.layer + 1; layer < end.layer; layer += 1) {
    const crossing = slotOf('', layer, crossingHeight);
    (layers[layer] ??= []).push(crossing);
    path.push(crossing);
  }
  path.push(end);
  for (const [i, slot] of path.entries()) {
    const next = path[i + 1];
    if (next === undefined) continue;
    slot.after.push(next);
    next.before.push(slot);
  }
  return path;
}

/** Sorts each layer by the middle of its neighbours' places, so that fewer edges cross. */
function order(layers: readonly Slot[][], rightwards: boolean): void {
  for (const layer of layers) for (const [i, slot] of layer.entries()) slot.y = i;
  for (const layer of rightwards ? layers : layers.toReversed()) {
    const middle = new Map(
      layer.map((slot) => [slot, meanOf(rightwards ? slot.before : slot.after) ?? slot.y]),
    );
    // Sorting is stable, so what is equal stays as it was.
    layer.sort((a, b) => (middle.get(a) ?? 0) - (middle.get(b) ?? 0));
    for (const [i, slot] of layer.entries()) slot.y = i;
  }
}

/** Moves slots towards their neighbours, as far as those of their own layer leave room. */
function settle(layers: readonly Slot[][], gap: number): void {
  const heightOf = (layer: readonly Slot[]): number =>
    layer.reduce((all, slot) => all + slot.height + gap, -gap);
  const tallest = Math.max(0, ...layers.map(heightOf));
  for (const layer of layers) {
    let y = (tallest - heightOf(layer)) / 2;
    for (const slot of layer) {
      slot.y = y + slot.height / 2;
      y += slot.height + gap;
    }
  }
  for (let i = 0; i < sweeps; i += 1) {
    for (const layer of i % 2 === 0 ? layers : layers.toReversed()) {
      for (const slot of layer) slot.y = meanOf([...slot.before, ...slot.after]) ?? slot.y;
      spread(layer, gap);
    }
  }
}

/** Pushes apart what overlaps, to both sides alike. */
function spread(layer: readonly Slot[], gap: number): void {
  const room = (a: Slot, b: Slot): number => (a.height + b.height) / 2 + gap;
  const down = layer.map((slot) => slot.y);
  const up = [...down];
  for (let i = 1; i < layer.length; i += 1) {
    const [above, slot] = [layer[i - 1] as Slot, layer[i] as Slot];
    down[i] = Math.max(down[i] ?? 0, (down[i - 1] ?? 0) + room(above, slot));
  }
  for (let i = layer.length - 2; i >= 0; i -= 1) {
    const [slot, below] = [layer[i] as Slot, layer[i + 1] as Slot];
    up[i] = Math.min(up[i] ?? 0, (up[i + 1] ?? 0) - room(slot, below));
  }
  for (const [i, slot] of layer.entries()) slot.y = ((down[i] ?? 0) + (up[i] ?? 0)) / 2;
}

function meanOf(slots: readonly Slot[]): number | null {
  if (slots.length === 0) return null;
  return slots.reduce((all, { y }) => all + y, 0) / slots.length;
}

interface Wires {
  readonly links: readonly Link[];
  readonly forward: readonly Link[];
  readonly slots: ReadonlyMap<string, Slot>;
}

function drawn(
  layers: readonly Slot[][],
  paths: readonly (readonly Slot[])[],
  { links, forward, slots }: Wires,
  { nodeWidth, columnGap }: Sizes,
): Layout {
  const all = layers.flat();
  const top = Math.min(...all.map(({ y, height }) => y - height / 2));
  const bottom = Math.max(...all.map(({ y, height }) => y + height / 2));
  const xOf = ({ layer }: Slot): number => layer * (nodeWidth + columnGap);
  const pointsOf = (path: readonly Slot[], isBack: boolean): Point[] => {
    // Two that call each other have a line each.
    const shift = isBack ? 9 : 0;
    const points = path.flatMap((slot, i) => {
      const y = slot.y - top + shift;
      const [left, right] = [
        { x: xOf(slot), y },
        { x: xOf(slot) + nodeWidth, y },
      ];
      if (i === 0) return [right];
      return i === path.length - 1 ? [left] : [left, right];
    });
    return isBack ? points.toReversed() : points;
  };
  return {
    width: layers.length * (nodeWidth + columnGap) - columnGap,
    height: all.length === 0 ? 0 : bottom - top,
    nodes: new Map(
      [...slots].map(([name, s]) => [name, { x: xOf(s), y: s.y - s.height / 2 - top }]),
    ),
    edges: paths.map((path, i) => pointsOf(path, forward[i] !== links[i])),
  };
}
