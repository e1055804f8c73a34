// `/sync`: what each sidecar enforces, since when, and whether that is the newest.
import { formatAge } from '../../cluster/age.ts';
import type { Collector, KnownSidecar } from '../collector.ts';
import type { Page } from '../frame.ts';
import { html, type Html } from '../html.ts';
import { ago, counted, readingNote, remaining, workloadLink } from './parts.ts';

type Sync = 'yes' | 'behind' | 'refused' | 'alone' | 'silent';

export async function syncPage(collector: Collector): Promise<Page> {
  const reading = await collector.states();
  const all = reading.value ?? [];
  const well = all.filter((one) => syncOf(one) === 'yes').length;
  const body = html`<h1>
      ${all.length === 0 ? 'Sidecars' : `${well} of ${counted(all.length, 'sidecar')} in sync`}
    </h1>
    <p class="lead">
      A sidecar in sync enforces the newest that control has for it. One that is not keeps what it
      has.
    </p>
    ${readingNote(reading, collector.now())}${troubles(all)}
    ${all.length > 0 && sheet(all, collector.now())}`;
  return { title: 'Sidecars', body, live: true };
}

function sheet(all: readonly KnownSidecar[], nowMs: number): Html {
  return html`<div class="sheet">
    <table>
      <thead>
        <tr>
          <th>Workload</th>
          <th>Pod</th>
          <th>In sync</th>
          <th class="num">Snapshot</th>
          <th>Since</th>
          <th>Version</th>
          <th>Control</th>
          <th>Certificate</th>
          <th class="num">Connections</th>
        </tr>
      </thead>
      <tbody>
        ${all.map((one) => row(one, nowMs))}
      </tbody>
    </table>
  </div>`;
}

function row(known: KnownSidecar, nowMs: number): Html {
  const { sidecar, control, value } = known;
  const since = control?.snapshotSinceMs ?? null;
  const connections =
    value === null || value.inbound === null
      ? '–'
      : html`<span title="inbound and outbound"
          >${value.inbound} in, ${value.outbound ?? 0} out</span
        >`;
  return html`<tr id="s-${sidecar.namespace}-${sidecar.pod}">
    <td class="name">${workloadLink(`${sidecar.namespace}/${sidecar.workload}`, true)}</td>
    <td class="name">${sidecar.pod}</td>
    <td>${syncTag(known)}</td>
    <td class="num">${control?.snapshot ?? value?.snapshot ?? '–'}</td>
    <td class="tight">${since === null ? '–' : formatAge(nowMs - since)}</td>
    <td class="tight">${control?.version || '–'}</td>
    <td
      class="tight"
      title="${control === null ? '' : `connected ${ago(control.connectedSinceMs, nowMs)}`}"
    >
      ${control?.replica || (value?.control?.connected === true ? 'connected' : '–')}
    </td>
    <td class="tight">${remaining(value?.certificateEndsMs ?? null, nowMs)}</td>
    <td class="num">${connections}</td>
  </tr>`;
}

const troublesShown = 6;

/** What is wrong, in sentences. */
function troubles(all: readonly KnownSidecar[]): Html {
  const notes = all.flatMap((known) => {
    const { sidecar, control, value, error } = known;
    const name = `${sidecar.namespace}/${sidecar.pod}`;
    switch (syncOf(known)) {
      case 'refused':
        return [
          html`<p class="note bad-note">
            <b>${name}</b> refused its newest snapshot: ${control?.refused}
          </p>`,
        ];
      case 'silent':
        return [html`<p class="note bad-note"><b>${name}</b> does not answer: ${error}</p>`];
      case 'alone': {
        const why = value?.control?.lastError || 'it has no connection';
        return [
          html`<p class="note">
            <b>${name}</b> hears nothing from control: ${why}. It keeps what it has.
          </p>`,
        ];
      }
      default:
        return [];
    }
  });
  const left = notes.length - troublesShown;
  return html`${notes.slice(0, troublesShown)}${left > 0 && html`<p class="note">${left} more are in trouble: the table marks them.</p>`}`;
}

export function syncTag(known: KnownSidecar): Html {
  const [kind, words] = tags[syncOf(known)];
  return html`<span class="tag ${kind}">${words}</span>`;
}

const tags: Readonly<Record<Sync, readonly [kind: 'good' | 'warn' | 'bad', words: string]>> = {
  yes: ['good', '✓ in sync'],
  behind: ['warn', '… behind'],
  refused: ['bad', '✕ refused'],
  alone: ['warn', '▲ without control'],
  silent: ['bad', '✕ no answer'],
};

const byGravity: readonly Sync[] = ['refused', 'silent', 'alone', 'behind', 'yes'];

/** The one that is worst off. */
export function worstOf(all: readonly KnownSidecar[]): KnownSidecar | undefined {
  return all.toSorted((a, b) => gravityOf(a) - gravityOf(b))[0];
}

function gravityOf(known: KnownSidecar): number {
  return byGravity.indexOf(syncOf(known));
}

/** Control knows best; without it what the sidecar says itself. */
function syncOf({ control, value, error }: KnownSidecar): Sync {
  if (error !== '' && control === null) return 'silent';
  if (control !== null) {
    if (control.inSync) return 'yes';
    return control.refused === '' ? 'behind' : 'refused';
  }
  return value?.control === null || value?.control?.connected === true ? 'yes' : 'alone';
}
