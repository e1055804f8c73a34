// `/w`: each workload with how its calls go and how its sidecars are.
import type { Collector, KnownSidecar } from '../collector.ts';
import type { Page } from '../frame.ts';
import { html, type Html } from '../html.ts';
import { filterForm, isIn, matches, namespacesOf } from './graph.ts';
import { readingNote, remaining, trafficCells, trafficHeadings, workloadLink } from './parts.ts';
import { syncTag, worstOf } from './sync.ts';

const rowsMax = 1000;

export async function workloadsPage(collector: Collector, query: URLSearchParams): Promise<Page> {
  const [reading, states] = await Promise.all([collector.edges(), collector.states()]);
  const [text, namespace] = [query.get('q') ?? '', query.get('ns') ?? ''];
  const view = reading.value;
  if (view === null) {
    const body = html`<h1>Workloads</h1>
      ${readingNote(reading, collector.now())}`;
    return { title: 'Workloads', body, live: true };
  }
  const names = view.workloads.filter((name) => matches(name, text) && isIn(name, namespace));
  const sidecars = Map.groupBy(
    states.value ?? [],
    ({ sidecar }) => `${sidecar.namespace}/${sidecar.workload}`,
  );
  const into = Map.groupBy(view.edges, ({ to }) => to);
  const rows = names.slice(0, rowsMax).map(
    (name) =>
      html`<tr id="w-${name}">
        <td class="name">${workloadLink(name, true)}</td>
        ${sidecarCells(sidecars.get(name) ?? [], collector.now())}${trafficCells(into.get(name) ?? [], view)}
      </tr>`,
  );
  const left = names.length - rowsMax;
  const body = html`<h1>Workloads</h1>
    <p class="lead">
      What they are called: rates of the last half minute, else counts since their sidecars started.
    </p>
    ${readingNote(reading, collector.now())}${filterForm(namespacesOf(view), text, namespace)}
    ${
      rows.length === 0
        ? html`<p class="none">No workload matches.</p>`
        : html`<div class="sheet">
            <table>
              <thead>
                <tr>
                  <th>Workload</th>
                  <th>Sidecars</th>
                  <th>Certificate</th>
                  ${trafficHeadings}
                </tr>
              </thead>
              <tbody>
                ${rows}
              </tbody>
            </table>
          </div>`
    }
    ${left > 0 && html`<p class="none">${left} more: narrow the filter.</p>`}`;
  return { title: 'Workloads', body, live: true };
}

/** How the worst of its sidecars is. */
function sidecarCells(sidecars: readonly KnownSidecar[], nowMs: number): Html {
  const ends = sidecars.flatMap(({ value }) => value?.certificateEndsMs ?? []);
  const worst = worstOf(sidecars);
  return html`<td class="tight">${sidecars.length} ${worst !== undefined && syncTag(worst)}</td>
    <td class="tight">${remaining(ends.length === 0 ? null : Math.min(...ends), nowMs)}</td>`;
}
