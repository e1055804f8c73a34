// `/why/ID`: one refusal, step by step: who called, what decided, how near it came to being allowed.
import type { CallRecord } from '#api/call-record.ts';

import { JsonFields, parseJsonList } from '../../cluster/json-fields.ts';
import type { Collector } from '../collector.ts';
import { nameOfParty } from '../edge-book.ts';
import type { Page } from '../frame.ts';
import { html, type Html, pathOf, queryOf } from '../html.ts';
import { millisecondsText } from '../numbers.ts';
import { partOf } from '../sidecar-answers.ts';
import { ago, workloadLink } from './parts.ts';
import { answerTag } from './refusals.ts';
import { headline, missedField, step } from './steps.ts';

export async function whyPage(collector: Collector, id: string): Promise<Page> {
  const record = await collector.find(id);
  if (record === null) {
    const body = html`<h1>No sidecar knows ${id}</h1>
      <p class="lead">
        A sidecar remembers its last 256 refusals and failures, and none of before it started. The
        line with this id is in its log.
      </p>
      <p><a href="/why">The latest refusals</a></p>`;
    return { title: `Why ${id}`, body, status: 404, live: false };
  }
  return { title: `Why ${id}`, body: told(record, collector.now()), live: false };
}

function told(record: CallRecord, nowMs: number): Html {
  const { at, method, path, authority, protocol, verdict, why, details, traceId, id } = record;
  const what = protocol === 'TCP' ? `TCP to port ${record.port}` : `${method} ${path}`;
  return html`<div class="verdict">
      ${answerTag(record)} <span>${headline(why || details)}</span>
    </div>
    <p class="lead">
      <code>${what}</code>${authority !== '' && html` to <code>${authority}</code>`},
      ${ago(Date.parse(at), nowMs)} (${at}), id <code>${id}</code>
    </p>
    <div class="sheet">
      <dl>
        ${rowOf('From', partyOf(record.source, ''))}${rowOf('To', partyOf(record.destination, record.service))}
        ${rowOf('Told by', record.reporter === 'inbound' ? "the callee's sidecar" : "the caller's sidecar")}${rowOf('Envoy would say', html`<code>${[record.flags, details].filter((word) => word !== '-' && word !== '').join(' ') || '–'}</code>`)}
        ${rowOf('Took', millisecondsText(record.durationMs))}${record.endpoint !== '' && rowOf('Endpoint', html`<code>${record.endpoint}</code>, ${record.attempts} tried`)}${record.route !== '' && rowOf('Route', record.route)}
        ${traceId !== '' && rowOf('Trace', html`<a href="${pathOf('t', traceId)}" class="mono">${traceId}</a>`)}
      </dl>
    </div>
    <h2>Step by step</h2>
    <ol class="steps">
      ${steps(record)}
    </ol>
    ${verdict !== null && html`<p><a href="/inspect${inspectorQuery(record)}">Ask the sidecar again in the inspector</a></p>`}`;
}

function rowOf(name: string, value: Html | string): Html {
  return html`<dt>${name}</dt>
    <dd>${value}</dd>`;
}

function partyOf(party: CallRecord['source'], service: string): Html {
  return html`${workloadLink(nameOfParty(party, service))}
    <code class="muted">${party.principal}</code>`;
}

function steps(record: CallRecord): Html[] {
  const { mtls, verdict, policy, rule, place, why, details, dryRun = [], nearest } = record;
  const transport = mtls
    ? step('good', '✓', html`<b>Mutual TLS</b>: the caller proved who it is`)
    : step('warn', '!', html`<b>No mutual TLS</b>: nobody proved who calls`);
  const all = [transport];
  if (verdict === null)
    all.push(step('bad', '✕', html`<b>It ended before policies were asked</b>: ${why || details}`));
  else if (policy !== null) {
    const word = verdict === 'allow' ? 'allows it' : 'refuses it';
    all.push(
      step(
        verdict === 'allow' ? 'good' : 'bad',
        verdict === 'allow' ? '✓' : '✕',
        html`<b>${policy} rule ${rule ?? '?'}</b> ${word}${placeOf(place)}`,
      ),
    );
  } else if (verdict === 'deny')
    all.push(
      step('bad', '✕', html`<b>No rule allows it</b>${nearest === undefined && html`: ${why}`}`),
    );
  else all.push(step('good', '✓', html`<b>Policies allow it</b>: nothing forbids it`));
  if (nearest !== undefined && nearest !== null) all.push(step('', '≈', nearestRule(nearest)));
  for (const said of dryRun) all.push(step('', '…', html`<b>On trial</b>: ${said}`));
  if (verdict === 'allow' && record.status >= 400)
    all.push(step('bad', '✕', html`<b>Then it failed</b>: ${details || why}`));
  return all;
}

/** As access logs have it. */
function nearestRule(nearest: unknown): Html {
  const fields = new JsonFields(nearest);
  const missed = parseJsonList(partOf(nearest, 'missed') ?? []);
  return html`<b>The rule that came nearest</b>: ${fields.text('policy')} rule
    ${fields.number('rule') ?? '?'}${placeOf(fields.text('at'))}
    <ul class="fields">
      ${fields.texts('matched').map((field) => html`<li><span class="good">✓</span> <code>${field}</code></li>`)}${missed.map(
        (miss) =>
          missedField({
            field: miss.text('field'),
            wanted: miss.texts('wanted'),
            got: miss.text('got'),
            at: miss.text('at') || null,
          }),
      )}
    </ul>`;
}

function placeOf(at: string | null): Html | null {
  return at === null || at === '' ? null : html` <span class="muted mono">${at}</span>`;
}

function inspectorQuery({
  source,
  destination,
  port,
  method,
  path,
  authority,
  protocol,
}: CallRecord): string {
  return queryOf({
    from: source.principal === 'unknown' ? 'none' : source.principal,
    to: `${destination.namespace}/${destination.workload}`,
    port: String(port),
    ...(protocol === 'TCP' ? { tcp: 'yes' } : { method, path, host: authority }),
    ask: 'yes',
  });
}
