// `/w/NAMESPACE/NAME`: a workload with its policies, callers, refusals, certificates, endpoints and limits.
import type { CallRecord } from '#api/call-record.ts';

import type { Collector, KnownSidecar } from '../collector.ts';
import type { Edge, EdgeView } from '../edge-book.ts';
import type { Page } from '../frame.ts';
import { html, type Html } from '../html.ts';
import { countText, millisecondsText, quantile, rateText, shareText } from '../numbers.ts';
import { policyLines } from '../policy-lines.ts';
import type { PortMode } from '../sidecar-answers.ts';
import type { WorkloadFacts } from '../workload-facts.ts';
import {
  placeText,
  readingNote,
  securityTag,
  shownOf,
  trafficCells,
  trafficHeadings,
  workloadLink,
} from './parts.ts';
import { refusalTable } from './refusals.ts';
import { certificateSheet, endpointSheet, limitSheet } from './sidecar-sheets.ts';
import { syncTag } from './sync.ts';

const refusalsShown = 12;

export async function workloadPage(
  collector: Collector,
  namespace: string,
  workload: string,
): Promise<Page> {
  const name = `${namespace}/${workload}`;
  const [edges, states, records, facts] = await Promise.all([
    collector.edges(),
    collector.states(),
    collector.records(),
    collector.workload(namespace, workload),
  ]);
  const view: EdgeView = edges.value ?? { edges: [], windowMs: 0 };
  const known = edges.value?.workloads.includes(name) === true;
  const into = view.edges.filter(({ to }) => to === name);
  const out = view.edges.filter(({ from }) => from === name);
  const now = collector.now();
  if (!known && into.length + out.length === 0) return unknown(name, edges.error);
  const refused = (records.value ?? []).filter((record) => isOf(record, namespace, workload));
  const sidecars = (states.value ?? []).filter(
    ({ sidecar }) => sidecar.namespace === namespace && sidecar.workload === workload,
  );
  const found = facts.value;
  const body = html`<h1><span class="ns">${namespace}/</span>${workload}</h1>
    ${lead(found, sidecars)}${readingNote(edges, now)} ${tiles(into, view, found?.ports ?? [])}
    ${found !== null && policySheet(found)}
    <h2>Called by <small>${into.length}</small></h2>
    ${edgeSheet(into, view, 'from')}
    <h2>Calls <small>${out.length}</small></h2>
    ${edgeSheet(out, view, 'to')}
    <h2>Recent refusals and failures <small>${refused.length}</small></h2>
    ${refusalTable(refused.slice(0, refusalsShown), now)}
    ${found !== null && html`${limitSheet(found.sidecars)}${endpointSheet(found.sidecars, now)}${certificateSheet(found.sidecars, now)}`}
    <p class="none">
      <a href="/inspect?to=${encodeURIComponent(name)}">Try a call to ${name} in the inspector</a>
    </p>`;
  return { title: name, body, live: true };
}

function unknown(name: string, error: string): Page {
  const why = error === '' ? 'No sidecar is of this workload, and none has called it.' : error;
  const body = html`<h1>${name}</h1>
    <p class="lead">${why}</p>
    <p><a href="/w">All workloads</a></p>`;
  return { title: name, body, status: 404, live: false };
}

function lead(facts: WorkloadFacts | null, sidecars: readonly KnownSidecar[]): Html {
  const identity = sidecars.find(({ value }) => value !== null)?.value?.identity ?? '';
  const account = facts?.snapshot?.workload.serviceAccount ?? '';
  return html`<p class="lead">
    ${identity !== '' ? html`<code>${identity}</code>` : account !== '' && html`service account <code>${account}</code>`}
    ${sidecars.map((one) => html` <span class="nowrap">${one.sidecar.pod} ${syncTag(one)}</span>`)}
  </p>`;
}

function tiles(into: readonly Edge[], view: EdgeView, ports: readonly PortMode[]): Html {
  const { traffic, rate, isNow } = shownOf(into, view);
  const { requests, failures, refusals, durations } = traffic;
  const p99 = quantile(durations, 0.99);
  const when = isNow ? 'last half minute' : 'since it started';
  return html`<div class="tiles">
    <div><b>${rate === null ? '…' : `${rateText(rate)}/s`}</b><span>rate</span></div>
    <div>
      <b class="${failures > 0 && 'bad'}">${shareText(requests - failures, requests)}</b
      ><span>success, ${when}</span>
    </div>
    <div>
      <b class="${refusals > 0 && 'warn'}">${countText(refusals)}</b><span>refused, ${when}</span>
    </div>
    <div><b>${p99 === null ? '–' : millisecondsText(p99)}</b><span>p99, ${when}</span></div>
    ${ports.map((port) => portTile(port))}
  </div>`;
}

function portTile({ port, protocol, mode, policy, at }: PortMode): Html {
  const by = policy === '' ? 'by default' : `by ${policy}`;
  return html`<div title="${at}">
    <b class="${mode === 'DISABLE' && 'warn'}">${mode || '–'}</b
    ><span>mutual TLS of port ${port} (${protocol || 'unknown'}), ${by}</span>
  </div>`;
}

function policySheet({ snapshot }: WorkloadFacts): Html {
  if (snapshot === null)
    return html`<h2>Policies</h2>
      <p class="none">No sidecar has told its snapshot.</p>`;
  const lines = policyLines(snapshot);
  const none = html`<p class="none">No policy applies: whoever reaches a port may call it.</p>`;
  return html`<h2>Policies <small>${lines.length}</small></h2>
    ${
      lines.length === 0
        ? none
        : html`<div class="sheet">
            <table>
              <thead>
                <tr>
                  <th>Policy</th>
                  <th>Action</th>
                  <th>Rules</th>
                  <th>Written at</th>
                </tr>
              </thead>
              <tbody>
                ${lines.map(
                  ({ kind, name, action, isTrial, rules, at }) =>
                    html`<tr>
                      <td class="name">${name}<br /><small class="muted">${kind}</small></td>
                      <td class="tight">
                        ${action === '' ? html`<span class="muted">–</span>` : html`<span class="tag ${actionKinds[action]}">${action}</span>`}${isTrial && html` <span class="tag">dry run</span>`}
                      </td>
                      <td class="wide">
                        ${rules.length === 0 ? html`<span class="muted">none: it matches no call</span>` : rules.map((rule) => html`<div title="${rule.at}">${rule.text}</div>`)}
                      </td>
                      <td class="name mono">${placeText(at)}</td>
                    </tr>`,
                )}
              </tbody>
            </table>
          </div>`
    }`;
}

const actionKinds: Readonly<Record<string, string>> = {
  ALLOW: 'good',
  DENY: 'bad',
  CUSTOM: 'plain',
};

function edgeSheet(edges: readonly Edge[], view: EdgeView, end: 'from' | 'to'): Html {
  if (edges.length === 0)
    return html`<p class="none">
      ${end === 'from' ? 'Nobody has called it yet.' : 'It has called nobody yet.'}
    </p>`;
  return html`<div class="sheet">
    <table>
      <thead>
        <tr>
          <th>${end === 'from' ? 'Caller' : 'Callee'}</th>
          <th>Security</th>
          ${trafficHeadings}
        </tr>
      </thead>
      <tbody>
        ${edges.map(
          (edge) =>
            html`<tr id="${end}-${edge[end]}">
              <td class="name">${workloadLink(edge[end], true)}</td>
              <td>${securityTag(edge.security)}</td>
              ${trafficCells([edge], view)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Told by its own sidecar, or by one that called it. */
function isOf(
  { source, destination, reporter }: CallRecord,
  namespace: string,
  name: string,
): boolean {
  const own = reporter === 'inbound' ? destination : source;
  return [own, destination].some((one) => one.namespace === namespace && one.workload === name);
}
