// The graph of services as SVG: who calls whom, how often, how well, and whether mutual TLS protects it.
import { type Edge, type EdgeView, outside } from '../edge-book.ts';
import { html, type Html, pathOf } from '../html.ts';
import { layOut, type Layout, type Point, type Sizes } from '../layout.ts';
import { millisecondsText, quantile, rateText, shareText } from '../numbers.ts';
import { healthNow, type Shown, shownOf, signs } from './parts.ts';

/** Of more, a table says more than a picture. */
export const nodesMax = 160;

const roomy: Sizes = { nodeWidth: 196, nodeHeight: 62, columnGap: 116, rowGap: 22 };
const dense: Sizes = { nodeWidth: 184, nodeHeight: 44, columnGap: 104, rowGap: 10 };
const denseFrom = 30;
/** Of more edges only those that are not well have a label. */
const labelsMax = 40;
const margin = 18;

/** @param names of the nodes: all ends of edges must be among them */
export function graphPicture(names: readonly string[], view: EdgeView): Html {
  const { edges } = view;
  const sizes = names.length > denseFrom ? dense : roomy;
  const layout = layOut(
    names,
    edges.map(({ from, to }) => [from, to]),
    sizes,
  );
  const [width, height] = [layout.width + 2 * margin, layout.height + 2 * margin];
  const lines = edges.map((edge, i) =>
    edgeLine(edge, layout.edges[i] ?? [], shownOf([edge], view)),
  );
  // Above all lines, so that none goes through them.
  const labels = edges.map((edge, i) => {
    const shown = shownOf([edge], view);
    const isWanted = edges.length <= labelsMax || healthNow(shown) === 'bad';
    return isWanted && edgeLabel(edge, layout.edges[i] ?? [], shown);
  });
  const into = Map.groupBy(edges, ({ to }) => to);
  const outOf = Map.groupBy(edges, ({ from }) => from);
  const nodes = names.map((name) => {
    // Of whom nobody calls, what it calls itself.
    const own = into.get(name) ?? outOf.get(name) ?? [];
    return nodePicture(name, layout, sizes, shownOf(own, view), into.has(name));
  });
  const box = `${-margin} ${-margin} ${width.toFixed(0)} ${height.toFixed(0)}`;
  return html`<div
    class="graph"
    tabindex="0"
    role="group"
    aria-label="Graph of ${names.length} workloads; the table below says the same"
  >
    <svg width="${width.toFixed(0)}" height="${height.toFixed(0)}" viewBox="${box}">
      ${lines}${labels}${nodes}
    </svg>
  </div>`;
}

function nodePicture(
  name: string,
  layout: Layout,
  { nodeWidth, nodeHeight }: Sizes,
  shown: Shown,
  isCalled: boolean,
): Html {
  const { x, y } = layout.nodes.get(name) ?? { x: 0, y: 0 };
  const [namespace = '', workload] = name.split('/');
  const health = healthNow(shown);
  const isDense = nodeHeight < 50;
  const charsMax = Math.floor((nodeWidth - 40) / 8.8);
  const title = workload ?? (name === outside ? 'outside the mesh' : name);
  const words = isCalled || workload === undefined ? numbersOf(shown) : `→ ${numbersOf(shown)}`;
  const [nameY, spaceY, wordsY] = isDense ? [18, 0, 35] : [21, 37, 53];
  const body = html`<title>
      ${name === outside ? 'callers or callees that are not in the mesh' : name}: ${words}
    </title>
    <rect width="${nodeWidth}" height="${nodeHeight}" rx="7"></rect
    ><rect class="bar" x="0" y="0" width="4" height="${nodeHeight}" rx="2"></rect>
    <text class="name" x="14" y="${nameY}">${shortened(title, charsMax)}</text
    ><text class="mark" x="${nodeWidth - 20}" y="${nameY}">${signs[health]}</text>
    ${!isDense && html`<text class="sub" x="14" y="${spaceY}">${shortened(workload === undefined ? 'no sidecar' : namespace, charsMax + 4)}</text>`}<text
      class="sub"
      x="14"
      y="${wordsY}"
      >${words}</text
    >`;
  const place = `translate(${x.toFixed(1)} ${y.toFixed(1)})`;
  const kind = workload === undefined ? `node outside ${health}` : `node ${health}`;
  if (workload === undefined) return html`<g class="${kind}" transform="${place}">${body}</g>`;
  return html`<g class="${kind}" data-name="${name}" transform="${place}"
    ><a href="${pathOf('w', namespace, workload)}" id="node-${name}">${body}</a></g
  >`;
}

/** `1.2/s · 99.8% · p99 45 ms`; without calls just now, how many there were. */
function numbersOf({ traffic, rate, isNow }: Shown): string {
  const { requests, failures, durations } = traffic;
  if (requests === 0) return 'no calls yet';
  const share = shareText(requests - failures, requests);
  if (!isNow) return `${requests} so far · ${share}`;
  const p99 = quantile(durations, 0.99);
  return `${rateText(rate ?? 0)}/s · ${share}${p99 === null ? '' : ` · p99 ${millisecondsText(p99)}`}`;
}

function edgeLine(edge: Edge, points: readonly Point[], shown: Shown): Html | null {
  const [from, to] = [points[0], points.at(-1)];
  // Who calls itself is in the table.
  if (from === undefined || to === undefined) return null;
  const health = healthNow(shown);
  const stroke = 1.2 + Math.min(2.8, Math.log10(1 + (shown.rate ?? 0)) * 1.2);
  const isBack = to.x < from.x;
  const tip = isBack ? 7 : -7;
  const tipPath = `M${at(to)}l${tip} -4v8z`;
  const words = [edge.protocols.join(', '), securityWords[edge.security], numbersOf(shown)];
  const refused = shown.traffic.refusals;
  if (refused > 0) words.push(`${refused} refused`);
  return html`<g class="edge ${health}" data-from="${edge.from}" data-to="${edge.to}">
    <title>${edge.from} → ${edge.to}: ${words.filter((word) => word !== '').join(' · ')}</title>
    <path d="${curve(points, tip)}" stroke-width="${stroke.toFixed(1)}"></path
    ><path class="tip" d="${tipPath}"></path
  ></g>`;
}

const securityWords: Readonly<Record<Edge['security'], string>> = {
  mutual_tls: 'mutual TLS',
  none: 'plaintext',
  mixed: 'partly plaintext',
  unknown: '',
};

/** In the gap before its callee, where edges of one caller have parted. */
function edgeLabel(edge: Edge, points: readonly Point[], shown: Shown): Html | null {
  const [a, b] = [points.at(-2), points.at(-1)];
  if (a === undefined || b === undefined) return null;
  const health = healthNow(shown);
  const { traffic, rate, isNow } = shown;
  const numbers = isNow ? `${rateText(rate ?? 0)}/s` : String(traffic.requests);
  const sign = health === 'good' || health === 'idle' ? '' : `${signs[health]} `;
  const text = `${sign}${numbers}`;
  const hasLock = edge.security !== 'unknown';
  const width = text.length * 6.6 + (hasLock ? 26 : 12);
  const [x, y] = [(a.x + b.x) / 2 - width / 2, (a.y + b.y) / 2 - 9];
  const isOpen = edge.security === 'none' || edge.security === 'mixed';
  const open = isOpen ? ' open' : '';
  const shackle = isOpen ? 'M8 8V6a2.2 2.2 0 0 1 4.2-.8' : 'M8 8V6a2.2 2.2 0 0 1 4.4 0V8';
  return html`<g
    class="label"
    data-from="${edge.from}"
    data-to="${edge.to}"
    transform="translate(${x.toFixed(1)} ${y.toFixed(1)})"
    ><rect width="${width.toFixed(0)}" height="18" rx="9"></rect
    >${hasLock && html`<path class="shackle${open}" d="${shackle}"></path><rect class="body${open}" x="6.5" y="8" width="7.4" height="5.4" rx="1"></rect>`}<text
      x="${hasLock ? 19 : 6}"
      y="13"
      >${text}</text
    ></g
  >`;
}

/** Through all points, level at each. */
function curve(points: readonly Point[], tip: number): string {
  const last = points.length - 1;
  return points
    .map((point, i) => {
      const before = points[i - 1];
      if (before === undefined) return `M${at(point)}`;
      // The line ends where the tip begins.
      const end = i === last ? { x: point.x + tip, y: point.y } : point;
      if (before.y === end.y) return `L${at(end)}`;
      const middle = (before.x + end.x) / 2;
      return `C${at({ x: middle, y: before.y })} ${at({ x: middle, y: end.y })} ${at(end)}`;
    })
    .join('');
}

function at({ x, y }: Point): string {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

/** The end of a generated name says least, but its begin and its end both tell it from others. */
function shortened(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const tail = Math.floor(charsMax / 3);
  return `${text.slice(0, charsMax - tail - 1)}…${text.slice(-tail)}`;
}
