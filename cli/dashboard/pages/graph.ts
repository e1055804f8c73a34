// `/`: the graph of services with live rates, success, latency and mutual TLS, and the same as a table.
import type { Collector, EdgesReading } from '../collector.ts';
import type { Edge, EdgeView } from '../edge-book.ts';
import type { Page } from '../frame.ts';
import { html, type Html, queryOf } from '../html.ts';
import { graphPicture, nodesMax } from './graph-picture.ts';
import {
  counted,
  readingNote,
  securityTag,
  silentNote,
  trafficCells,
  trafficHeadings,
  workloadLink,
} from './parts.ts';

const rowsMax = 1000;

export async function graphPage(collector: Collector, query: URLSearchParams): Promise<Page> {
  const reading = await collector.edges();
  const [text, namespace] = [query.get('q') ?? '', query.get('ns') ?? ''];
  const view = reading.value;
  const body = html`<h1>Who calls whom</h1>
    ${readingNote(reading, collector.now())}${view !== null && shown(view, text, namespace)}`;
  return { title: 'Graph', body, live: true };
}

function shown(all: EdgesReading, text: string, namespace: string): Html {
  const edges = all.edges.filter((edge) => isWanted(edge, text, namespace));
  const view: EdgeView = { edges, windowMs: all.windowMs };
  const names = [...new Set(edges.flatMap(({ from, to }) => [from, to]))].toSorted();
  const quiet = all.workloads.filter(
    (name) => !names.includes(name) && matches(name, text) && isIn(name, namespace),
  );
  return html`<p class="lead">
      ${counted(all.workloads.length, 'workload')} with a sidecar,
      ${counted(all.edges.length, 'way')} that calls went. Rates are of the last half minute; what
      rests shows its counts since the sidecars started.
    </p>
    ${silentNote(all.silent)}${filterForm(namespacesOf(all), text, namespace)}
    ${picture(names, view, namespace)}
    ${
      quiet.length > 0 &&
      html`<h2>No calls seen <small>${quiet.length}</small></h2>
        <div class="chips">${quiet.slice(0, rowsMax).map((name) => workloadLink(name))}</div>`
    }
    ${edges.length > 0 && edgeTable(view)}`;
}

function picture(names: readonly string[], view: EdgeView, namespace: string): Html {
  if (names.length === 0)
    return html`<p class="none">
      No calls match. Send one through a sidecar, or widen the filter.
    </p>`;
  if (names.length > nodesMax) {
    const advice = namespace === '' ? 'Choose a namespace' : 'Type a part of a name';
    return html`<p class="note">
      ${names.length} workloads are too many for a picture. ${advice} above to draw a part; the
      table has all.
    </p>`;
  }
  return html`${graphPicture(names, view)}
    <div class="legend">
      <span><span class="good">●</span> all well</span
      ><span><span class="warn">▲</span> some refused or failed</span
      ><span><span class="bad">✕</span> one of twenty fails, or more</span><span>○ at rest</span
      ><span>closed lock: mutual TLS</span><span>line width: rate</span>
    </div>`;
}

function edgeTable(view: EdgeView): Html {
  const { edges } = view;
  const left = edges.length - rowsMax;
  return html`<h2>Calls <small>${edges.length}</small></h2>
    <div class="sheet">
      <table>
        <thead>
          <tr>
            <th>From</th>
            <th>To</th>
            <th>Protocol</th>
            <th>Security</th>
            ${trafficHeadings}
          </tr>
        </thead>
        <tbody>
          ${edges.slice(0, rowsMax).map(
            (edge) =>
              html`<tr id="edge-${edge.from}-${edge.to}">
                <td class="name">${workloadLink(edge.from)}</td>
                <td class="name">${workloadLink(edge.to, true)}</td>
                <td>${edge.protocols.join(', ')}</td>
                <td>${securityTag(edge.security)}</td>
                ${trafficCells([edge], view)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    ${left > 0 && html`<p class="none">${left} more: narrow the filter.</p>`}`;
}

/** What the graph and the list of workloads are narrowed by. */
export function filterForm(namespaces: readonly string[], text: string, namespace: string): Html {
  return html`<form class="filter" method="get" role="search">
    <input
      type="search"
      name="q"
      value="${text}"
      placeholder="Filter by name"
      aria-label="Filter by name"
      size="24"
    />
    <select name="ns" aria-label="Namespace">
      <option value="">All namespaces</option>
      ${namespaces.map(
        (one) =>
          html`<option value="${one}" ${one === namespace && html` selected`}>${one}</option>`,
      )}</select
    ><noscript><button>Filter</button></noscript
    >${(text !== '' || namespace !== '') && html`<a href="${queryOf({}) || '?'}">Show all</a>`}
  </form>`;
}

export function namespacesOf({ workloads }: EdgesReading): string[] {
  return [...new Set(workloads.map((name) => name.split('/')[0] ?? ''))];
}

/** An edge is shown with either end. */
function isWanted({ from, to }: Edge, text: string, namespace: string): boolean {
  return (
    (matches(from, text) || matches(to, text)) && (isIn(from, namespace) || isIn(to, namespace))
  );
}

export function matches(name: string, text: string): boolean {
  return name.toLowerCase().includes(text.trim().toLowerCase());
}

export function isIn(name: string, namespace: string): boolean {
  return namespace === '' || name.startsWith(`${namespace}/`);
}
