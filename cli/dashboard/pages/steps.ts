// A list of steps, each with a sign; and the fields of a rule, each with what it wanted and what it got.
import { html, type Html } from '../html.ts';

export function step(kind: 'good' | 'warn' | 'bad' | '', sign: string, body: Html): Html {
  return html`<li><span class="dot ${kind}" aria-hidden="true">${sign}</span>${body}</li>`;
}

export interface MissedField {
  readonly field: string;
  readonly wanted: readonly string[];
  readonly got: string;
  readonly at: string | null;
}

export function missedField({ field, wanted, got, at }: MissedField): Html {
  return html`<li>
    <span class="bad">✕</span> <code>${field}</code> is <code>${got}</code>, not
    ${wanted.map(
      (one, i) => html`${i > 0 && ' or '}<code>${one}</code>`,
    )}${at !== null && html` <span class="muted mono">${at}</span>`}
  </li>`;
}

/** The verdict alone: what came nearest has a step of its own. */
export function headline(why: string): string {
  const [sentence = ''] = why.split('; nearest is ', 1);
  if (sentence === '') return 'It failed, and nobody says why';
  return `${sentence[0]?.toUpperCase()}${sentence.slice(1)}`;
}
