// Small pieces that several pages show: names as links, health in words and signs, little drawings.
import { formatAge } from '../../cluster/age.ts';
import type { Edge, EdgeView, Traffic } from '../edge-book.ts';
import { outside, sum } from '../edge-book.ts';
import { html, type Html, pathOf } from '../html.ts';
import { countText, millisecondsText, quantile, rateText, shareText } from '../numbers.ts';
import type { Reading } from '../watch.ts';

export type Health = 'good' | 'warn' | 'bad' | 'idle';

/** A sign for each, so that colour is never all that tells. */
export const signs: Readonly<Record<Health, string>> = {
  good: '●',
  warn: '▲',
  bad: '✕',
  idle: '○',
};

/** From this share of failures on it is bad. */
const badShare = 0.05;

export function healthOf({ requests, failures, refusals }: Traffic): Health {
  if (requests === 0) return 'idle';
  if (failures / requests >= badShare) return 'bad';
  return failures > 0 || refusals > 0 ? 'warn' : 'good';
}

/** What a number stands for: of now; where nothing is going on, since the sidecars started. */
export interface Shown {
  readonly traffic: Traffic;
  /** Calls a second; null: not known yet. */
  readonly rate: number | null;
  readonly isNow: boolean;
}

export function shownOf(edges: readonly Edge[], { windowMs }: Pick<EdgeView, 'windowMs'>): Shown {
  const recent = sum(edges.map((edge) => edge.recent));
  const isNow = recent.requests > 0;
  return {
    traffic: isNow ? recent : sum(edges.map((edge) => edge.total)),
    rate: windowMs === 0 ? null : (recent.requests * 1000) / windowMs,
    isNow,
  };
}

export function healthNow({ traffic, isNow, rate }: Shown): Health {
  return isNow || rate === null ? healthOf(traffic) : 'idle';
}

/** Cells of a table: rate, calls, success, refused, p50, p99, the last minutes. */
export const trafficHeadings = html`<th class="num">Rate</th>
  <th class="num">Calls</th>
  <th class="num">Success</th>
  <th class="num">Refused</th>
  <th class="num">p50</th>
  <th class="num">p99</th>
  <th>Two minutes</th>`;

export function trafficCells(edges: readonly Edge[], view: EdgeView): Html {
  const shown = shownOf(edges, view);
  const { requests, failures, refusals, durations } = shown.traffic;
  const health = healthNow(shown);
  const dim = shown.isNow ? '' : ' muted';
  // Both since the start, so that one is a part of the other.
  const total = sum(edges.map((edge) => edge.total));
  const [p50, p99] = [quantile(durations, 0.5), quantile(durations, 0.99)];
  const bad = failures === 0 ? dim : health === 'bad' ? ' bad' : ' warn';
  return html`<td class="num">
      ${shown.rate === null ? '…' : html`${rateText(shown.rate)}<span class="muted">/s</span>`}
    </td>
    <td class="num" title="${total.requests}">${countText(total.requests)}</td>
    <td class="num${bad}">
      <span title="${failures} of ${requests} failed"
        >${shareText(requests - failures, requests)} ${failures > 0 && signs[health]}</span
      >
    </td>
    <td class="num${refusals > 0 ? ' warn' : ' muted'}" title="${total.refusals}">
      ${total.refusals === 0 ? '–' : countText(total.refusals)}
    </td>
    <td class="num${dim}">${p50 === null ? '–' : millisecondsText(p50)}</td>
    <td class="num${dim}">${p99 === null ? '–' : millisecondsText(p99)}</td>
    <td>${sparkline(historyOf(edges))}</td>`;
}

/** Of several edges together. */
function historyOf(edges: readonly Edge[]): number[] {
  const longest = Math.max(0, ...edges.map(({ history }) => history.length));
  return Array.from({ length: longest }, (_, i) =>
    edges.reduce((all, { history }) => all + (history[history.length - longest + i] ?? 0), 0),
  );
}

const [sparkPoints, sparkHeight] = [60, 16];

/** The newest is at the right. Whole numbers: of a large mesh there are many. */
function sparkline(values: readonly number[]): Html {
  const top = Math.max(...values, 0.2);
  const points = values.map((value, i) => {
    const y = sparkHeight - 1 - Math.round((value / top) * (sparkHeight - 3));
    return `${sparkPoints - values.length + i} ${y}`;
  });
  const most = `at most ${rateText(Math.max(0, ...values))}/s`;
  return html`<svg
    class="spark"
    viewBox="0 0 ${sparkPoints - 1} ${sparkHeight}"
    preserveAspectRatio="none"
    role="img"
    aria-label="${most}"
  >
    <line x1="0" x2="${sparkPoints - 1}" y1="${sparkHeight - 1}" y2="${sparkHeight - 1}"></line>
    ${points.length > 1 && html`<path d="M${points.join('L')}"></path>`}
  </svg>`;
}

/** A link where there is a page for it. `row`: j and k stop there. */
export function workloadLink(name: string, isRow = false): Html {
  const [namespace = '', workload] = name.split('/');
  if (workload === undefined) return html`<span class="muted">${nameText(name)}</span>`;
  return html`<a href="${pathOf('w', namespace, workload)}" ${isRow && html` class="row"`}
    ><span class="ns">${namespace}/</span><wbr />${workload}</a
  >`;
}

export function nameText(name: string): string {
  return name === outside ? 'outside the mesh' : name;
}

/** A place in a file, which may go on in the next line after each folder. */
export function placeText(at: string): Html {
  return html`${at.split('/').map((part, i) => html`${i > 0 && html`/<wbr />`}${part}`)}`;
}

/** Mutual TLS in a sign and a word. */
export function securityTag(security: Edge['security']): Html {
  if (security === 'unknown') return html`<span class="muted">–</span>`;
  if (security === 'mutual_tls') return html`<span class="nowrap">${lock(false)}mTLS</span>`;
  const word = security === 'none' ? 'plaintext' : 'some mTLS';
  return html`<span class="nowrap warn">${lock(true)}${word}</span>`;
}

function lock(isOpen: boolean): Html {
  const shackle = isOpen ? 'M3 6V3.5a2.5 2.5 0 0 1 4.8-1' : 'M3 6V3.5a2.5 2.5 0 0 1 5 0V6';
  return html`<svg class="lock" viewBox="0 0 11 12" aria-hidden="true">
    <path d="${shackle}"></path>
    <rect x="1" y="6" width="9" height="6" rx="1"></rect>
  </svg>`;
}

/** How long a certificate has left; null: that is not known. */
export function remaining(endsMs: number | null, nowMs: number): Html {
  if (endsMs === null) return html`<span class="muted">–</span>`;
  const left = endsMs - nowMs;
  const when = new Date(endsMs).toISOString();
  if (left <= 0)
    return html`<span class="bad" title="${when}">✕ ended ${formatAge(-left)} ago</span>`;
  return html`<span title="${when}">${formatAge(left)} left</span>`;
}

export function ago(atMs: number | null, nowMs: number): string {
  return atMs === null || Number.isNaN(atMs) ? '–' : `${formatAge(nowMs - atMs)} ago`;
}

/** A word where the mesh, or part of it, could not be asked. */
export function readingNote({ error, atMs, value }: Reading<unknown>, nowMs: number): Html | null {
  if (error === '') return null;
  const shown = value === null ? '' : ` What is shown was read ${formatAge(nowMs - atMs)} ago.`;
  return html`<p class="note bad-note">The sidecars cannot be listed: ${error}.${shown}</p>`;
}

export function silentNote(silent: readonly string[]): Html | null {
  if (silent.length === 0) return null;
  const more = silent.length > 3 ? `, and ${silent.length - 3} more` : '';
  return html`<p class="note">
    ${silent.length === 1 ? 'A sidecar does' : `${silent.length} sidecars do`} not answer:
    ${silent.slice(0, 3).join('; ')}${more}.
  </p>`;
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
