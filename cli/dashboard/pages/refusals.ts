// `/why`: what was refused lately in the mesh, and a field for the id that a caller was told.
import type { CallRecord } from '#api/call-record.ts';

import { JsonFields, parseJsonList } from '../../cluster/json-fields.ts';
import type { Collector } from '../collector.ts';
import { nameOfParty } from '../edge-book.ts';
import type { Page } from '../frame.ts';
import { html, type Html, pathOf } from '../html.ts';
import { formatAge } from '../../cluster/age.ts';
import { partOf } from '../sidecar-answers.ts';
import { counted, placeText, readingNote, workloadLink } from './parts.ts';

const recordsShown = 100;

export async function refusalsPage(collector: Collector): Promise<Page> {
  const reading = await collector.records();
  const all = reading.value ?? [];
  const body = html`<h1>Refusals and failures</h1>
    <p class="lead">
      What sidecars refused, and what failed at them: each answer carries its id as
      <code>x-selvage-id</code>.
    </p>
    <form class="filter" method="get" action="/why">
      <input
        name="id"
        placeholder="x-selvage-id"
        aria-label="Value of x-selvage-id"
        size="30"
        autocomplete="off"
      />
      <button>Why?</button>
    </form>
    ${readingNote(reading, collector.now())}
    <h2>Latest <small>${counted(all.length, 'record')}</small></h2>
    ${refusalTable(all.slice(0, recordsShown), collector.now())}${all.length > recordsShown && html`<p class="none">${all.length - recordsShown} older ones are not shown.</p>`}`;
  return { title: 'Refusals', body, live: true };
}

export function refusalTable(records: readonly CallRecord[], nowMs: number): Html {
  if (records.length === 0) return html`<p class="none">None that a sidecar remembers.</p>`;
  return html`<div class="sheet stack">
    <table>
      <thead>
        <tr>
          <th>When</th>
          <th>From</th>
          <th>To</th>
          <th>Call</th>
          <th>Answer</th>
          <th>Why</th>
          <th>Id</th>
        </tr>
      </thead>
      <tbody>
        ${records.map((record) => refusalRow(record, nowMs))}
      </tbody>
    </table>
  </div>`;
}

function refusalRow(record: CallRecord, nowMs: number): Html {
  const { at, id, method, path, protocol, source, destination, service } = record;
  const what = protocol === 'TCP' ? 'TCP' : `${method} ${path}`;
  return html`<tr id="r-${id}-${at}">
    <td class="tight" title="${at}">${formatAge(nowMs - Date.parse(at))}</td>
    <td class="name from">${workloadLink(nameOfParty(source))}</td>
    <td class="name to">${workloadLink(nameOfParty(destination, service))}</td>
    <td class="name mono">${what}</td>
    <td class="tight">${answerTag(record)}</td>
    <td class="wide">${reasonOf(record)}</td>
    <td class="tight mono id">
      ${id === '' ? '–' : html`<a class="row" href="${pathOf('why', id)}" title="${id}">${id.length > 10 ? `${id.slice(0, 8)}…` : id}</a>`}
    </td>
  </tr>`;
}

/** In few words: what the rule that came nearest missed, else the sentence. */
function reasonOf({ why, details, nearest, place, policy }: CallRecord): Html {
  const missed = parseJsonList(partOf(nearest, 'missed') ?? []);
  if (missed.length === 0) return html`${why || details || '–'}`;
  const fields = new JsonFields(nearest);
  const misses = missed.map(
    (miss) =>
      html`<div>
        <code>${miss.text('field')}</code> is <code>${miss.text('got')}</code>, not
        <code>${miss.texts('wanted').join(' or ')}</code>
      </div>`,
  );
  const at = place ?? fields.text('at');
  return html`${misses}<small class="muted"
      >nearest: ${fields.text('policy') || policy} rule
      ${fields.number('rule') ?? '?'}${at !== '' && html`, ${placeText(at)}`}</small
    >`;
}

/** Status, and whose doing it was. */
export function answerTag({ status, verdict, flags, reporter }: CallRecord): Html {
  const text = status === 0 ? 'closed' : String(status);
  const who = reporter === 'inbound' ? "the callee's sidecar" : "the caller's sidecar";
  const title = `${flags === '-' ? '' : `${flags}, `}told by ${who}`;
  if (verdict === 'deny' || [401, 403, 429].includes(status))
    return html`<span class="tag warn" title="${title}">▲ ${text}</span>`;
  if (status === 0 || status >= 500)
    return html`<span class="tag bad" title="${title}">✕ ${text}</span>`;
  return html`<span class="tag${status < 400 ? ' good' : ''}" title="${title}">${text}</span>`;
}
