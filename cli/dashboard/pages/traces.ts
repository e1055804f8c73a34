// `/t`: the latest traces; `/t/TRACE`: the calls of one, with both sidecars' view of each, as a waterfall.
import type { CallRecord } from '#api/call-record.ts';

import { formatAge } from '../../cluster/age.ts';
import type { Collector } from '../collector.ts';
import { nameOfParty } from '../edge-book.ts';
import type { Page } from '../frame.ts';
import { html, type Html, pathOf } from '../html.ts';
import { millisecondsText } from '../numbers.ts';
import { type Span, spansOf } from '../trace.ts';
import { counted, nameText, readingNote } from './parts.ts';
import { answerTag } from './refusals.ts';

const tracesShown = 100;

export async function tracesPage(collector: Collector): Promise<Page> {
  const reading = await collector.calls();
  const traced = (reading.value ?? []).filter(({ traceId }) => traceId !== '');
  const traces = [...Map.groupBy(traced, ({ traceId }) => traceId)].slice(0, tracesShown);
  const now = collector.now();
  const body = html`<h1>Traces</h1>
    <p class="lead">
      Calls are followed while this page is open: the newest 500 records of all sidecars, and what
      they refused before.
    </p>
    ${readingNote(reading, now)}${collector.tapError !== '' && html`<p class="note">${collector.tapError}</p>`}
    ${
      traces.length === 0
        ? nothingTraced((reading.value ?? []).length)
        : html`<div class="sheet">
            <table>
              <thead>
                <tr>
                  <th>When</th>
                  <th>First call</th>
                  <th>Through</th>
                  <th>Answer</th>
                  <th class="num">Spans</th>
                  <th class="num">Took</th>
                  <th>Trace</th>
                </tr>
              </thead>
              <tbody>
                ${traces.map(([id, records]) => traceRow(id, records, now))}
              </tbody>
            </table>
          </div>`
    }`;
  return { title: 'Traces', body, live: true };
}

/** In a cluster most calls have no trace until somebody asks for them. */
function nothingTraced(calls: number): Html {
  return calls === 0
    ? html`<p class="none">No call has been seen yet. Send one; it appears here by itself.</p>`
    : html`<p class="none">
        ${counted(calls, 'record')} of calls, and none belongs to a trace. A call has one where its
        caller sends <code>traceparent</code>, or where a Telemetry resource names a provider of
        traces.
      </p>`;
}

function traceRow(id: string, records: readonly CallRecord[], nowMs: number): Html {
  const spans = spansOf(records);
  const [first] = spans;
  if (first === undefined) return html``;
  const { record, startMs } = first;
  const through = [
    ...new Set(
      spans.flatMap(({ record: { source, destination, service } }) => [
        nameOfParty(source),
        nameOfParty(destination, service),
      ]),
    ),
  ];
  const took = Math.max(...spans.map(({ endMs }) => endMs)) - startMs;
  return html`<tr id="t-${id}">
    <td class="tight">${formatAge(nowMs - startMs)}</td>
    <td class="name mono">${callOf(record)}</td>
    <td class="name">${through.map(nameText).join(' → ')}</td>
    <td class="tight">${answerTag(record)}</td>
    <td class="num">${spans.length}</td>
    <td class="num">${millisecondsText(took)}</td>
    <td class="tight mono id">
      <a class="row" href="${pathOf('t', id)}" title="${id}">${id.slice(0, 12)}…</a>
    </td>
  </tr>`;
}

export async function tracePage(collector: Collector, id: string): Promise<Page> {
  const reading = await collector.calls();
  const records = (reading.value ?? []).filter(({ traceId }) => traceId === id);
  const spans = spansOf(records);
  if (spans.length === 0) {
    const body = html`<h1>No call of this trace is known</h1>
      <p class="lead">
        <code>${id}</code>: calls are followed only while <a href="/t">Traces</a> is open, and the
        newest 500 are kept. Refusals are remembered by their sidecars.
      </p>`;
    return { title: 'Trace', body, status: 404, live: true };
  }
  const from = Math.min(...spans.map(({ startMs }) => startMs));
  const whole = Math.max(1, Math.max(...spans.map(({ endMs }) => endMs)) - from);
  const refused = records.filter((record) => record.id !== '');
  const body = html`<h1>Trace <code>${id}</code></h1>
    <p class="lead">
      ${counted(spans.length, 'span')}, ${millisecondsText(whole)}, began at
      ${new Date(from).toISOString()}
    </p>
    <div class="sheet">
      <div class="fall">${spans.map((span) => fallLine(span, from, whole))}</div>
    </div>
    <div class="legend">
      <span>solid: the caller's sidecar</span><span>pale: the callee's sidecar</span
      ><span>hover a line for its details</span>
    </div>
    ${
      refused.length > 0 &&
      html`<h2>Refused or failed</h2>
        <ul class="fields">
          ${refused.map((record) => html`<li>${answerTag(record)} <a class="row" href="${pathOf('why', record.id)}">${record.why || record.details}</a></li>`)}
        </ul>`
    }`;
  return { title: `Trace ${id.slice(0, 8)}`, body, live: true };
}

function fallLine({ record, startMs, endMs, depth }: Span, from: number, whole: number): Html {
  const { reporter, status, verdict, source, destination, service, why, details } = record;
  const left = ((startMs - from) / whole) * 1000;
  const width = Math.max(4, ((endMs - startMs) / whole) * 1000);
  const failed =
    status === 0 || status >= 500 ? ' bad' : verdict === 'deny' || status >= 400 ? ' warn' : '';
  const own = nameText(nameOfParty(reporter === 'inbound' ? destination : source));
  const towards = reporter === 'inbound' ? '←' : '→';
  const other = nameText(
    reporter === 'inbound' ? nameOfParty(source) : nameOfParty(destination, service),
  );
  const title = `${callOf(record)}: ${status}, ${why || details || 'answered by the application'}`;
  const indent = depth === 0 ? '' : `${'\u00A0\u00A0\u00A0'.repeat(depth - 1)}└\u00A0`;
  return html`<div class="line" title="${title}">
    <div class="who">
      <span class="muted">${indent}</span>${own} <span class="muted">${towards} ${other}</span
      ><br /><span class="muted">${indent.replaceAll('└', '\u00A0')}</span
      ><code>${callOf(record)}</code>
    </div>
    <svg
      viewBox="0 0 1000 18"
      preserveAspectRatio="none"
      role="img"
      aria-label="${millisecondsText(endMs - startMs)}"
    >
      <rect class="track" x="0" y="8" width="1000" height="2"></rect>
      <rect
        class="span ${reporter}${failed}"
        x="${left.toFixed(1)}"
        y="3"
        width="${width.toFixed(1)}"
        height="12"
        rx="2"
      ></rect>
    </svg>
    <div class="nowrap">
      ${answerTag(record)}<br /><span class="muted">${millisecondsText(endMs - startMs)}</span>
    </div>
  </div>`;
}

function callOf({ method, path, protocol, port }: CallRecord): string {
  return protocol === 'TCP' ? `TCP ${port}` : `${method} ${path}`;
}
