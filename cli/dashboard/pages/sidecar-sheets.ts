// Sheets of what a workload's sidecars hold: certificates, endpoints that they leave out, limits in use.
import { formatAge } from '../../cluster/age.ts';
import { html, type Html } from '../html.ts';
import { countText } from '../numbers.ts';
import type { Certificate } from '../sidecar-answers.ts';
import type { SidecarFacts } from '../workload-facts.ts';
import { ago, remaining } from './parts.ts';

export function certificateSheet(sidecars: readonly SidecarFacts[], nowMs: number): Html {
  const rows = sidecars.flatMap(({ pod, certificates }) => [
    ...(certificates?.chain ?? []).map((one) => certificateRow(pod, 'certificate', one, nowMs)),
    ...(certificates?.roots ?? []).map((one) => certificateRow(pod, 'trusted root', one, nowMs)),
  ]);
  if (rows.length === 0)
    return html`<h2>Certificates</h2>
      <p class="none">No sidecar has told them.</p>`;
  return html`<h2>Certificates</h2>
    <div class="sheet">
      <table>
        <thead>
          <tr>
            <th>Pod</th>
            <th>What</th>
            <th>Name</th>
            <th>Life</th>
            <th>Issuer</th>
            <th>Serial</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>`;
}

function certificateRow(pod: string, what: string, one: Certificate, nowMs: number): Html {
  const { name, issuer, serial, beganMs, endsMs } = one;
  return html`<tr>
    <td class="tight">${pod}</td>
    <td class="tight">${what}</td>
    <td class="name mono">${name}</td>
    <td class="tight">${remaining(endsMs, nowMs)}${lifeBar(beganMs, endsMs, nowMs)}</td>
    <td class="name">${issuer}</td>
    <td class="name mono id" title="${serial}">
      ${serial.length > 12 ? `${serial.slice(0, 12)}…` : serial}
    </td>
  </tr>`;
}

/** How much of its life is over. */
function lifeBar(beganMs: number | null, endsMs: number | null, nowMs: number): Html | null {
  if (beganMs === null || endsMs === null || endsMs <= beganMs) return null;
  const over = Math.min(1, Math.max(0, (nowMs - beganMs) / (endsMs - beganMs)));
  return html`<svg class="spark" viewBox="0 0 84 20" aria-hidden="true">
    <line x1="0" x2="84" y1="8" y2="8"></line>
    <path d="M${(over * 84).toFixed(1)} 8H84"></path>
  </svg>`;
}

/** What its calls go round, as its own sidecars see it. */
export function endpointSheet(sidecars: readonly SidecarFacts[], nowMs: number): Html {
  const all = sidecars.flatMap(({ health }) => health ?? []);
  const count = all.reduce((sum, { endpoints }) => sum + endpoints, 0);
  if (count === 0) return html``;
  const rows = sidecars.flatMap(({ pod, health }) =>
    (health?.leftOut ?? []).map(
      ({ cluster, address, workload, state, reason, atMs, forMs }) =>
        html`<tr>
          <td class="tight">${pod}</td>
          <td class="name">${cluster}</td>
          <td class="tight mono id">${address}</td>
          <td class="name">${workload}</td>
          <td class="tight">
            <span class="tag ${state === 'returned' ? '' : 'warn'}">${state}</span>
          </td>
          <td class="name">${reason || '–'}</td>
          <td class="tight">${ago(atMs, nowMs)}${forMs > 0 && `, for ${formatAge(forMs)}`}</td>
        </tr>`,
    ),
  );
  const none = html`<p class="none">None of ${count} endpoints that it may call is left out.</p>`;
  return html`<h2>Ejected endpoints</h2>
    ${
      rows.length === 0
        ? none
        : html`<div class="sheet">
            <table>
              <thead>
                <tr>
                  <th>Seen by</th>
                  <th>Service</th>
                  <th>Endpoint</th>
                  <th>Workload</th>
                  <th>State</th>
                  <th>Reason</th>
                  <th>Since</th>
                </tr>
              </thead>
              <tbody>
                ${rows}
              </tbody>
            </table>
          </div>`
    }`;
}

export function limitSheet(sidecars: readonly SidecarFacts[]): Html {
  const rows = sidecars.flatMap(({ pod, limits }) =>
    (limits ?? []).map(
      ({ limit, algorithm, scope, keys, allowed, limited, errors }) =>
        html`<tr>
          <td class="name">${limit}</td>
          <td class="tight">${pod}</td>
          <td class="tight">${algorithm}</td>
          <td class="tight">${scope}</td>
          <td class="num">${keys === null ? '–' : countText(keys)}</td>
          <td class="num">${countText(allowed)}</td>
          <td class="num${limited > 0 && ' warn'}">${countText(limited)}</td>
          <td class="num${errors > 0 && ' bad'}">${countText(errors)}</td>
        </tr>`,
    ),
  );
  if (rows.length === 0) return html``;
  return html`<h2>Limits in use</h2>
    <div class="sheet">
      <table>
        <thead>
          <tr>
            <th>Limit</th>
            <th>Pod</th>
            <th>Algorithm</th>
            <th>Scope</th>
            <th class="num">Keys</th>
            <th class="num">Allowed</th>
            <th class="num">Limited</th>
            <th class="num">Errors</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>`;
}
