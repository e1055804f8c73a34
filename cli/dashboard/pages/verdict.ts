// The verdict on a call that somebody described, step by step, with each rule that was asked.
import type { RuleFit } from '#policy/fits.ts';

import { formatSpiffeAccount } from '../callers.ts';
import { html, type Html } from '../html.ts';
import type { CallForm, Inspection } from '../inspection.ts';
import { headline, missedField, step } from './steps.ts';

export function verdict(found: Inspection, form: CallForm): Html {
  const { outcome, said, unasked, port, identity, host } = found;
  const decision = said?.decision ?? outcome.decision;
  const isAllowed = decision === 'allow';
  const what = form.tcp ? 'TCP' : `${form.method} ${form.path}`;
  const differs = said !== null && said.decision !== outcome.decision;
  return html`<div class="sheet">
    <div class="form">
      <div class="wide">
        <div class="verdict">
          <span class="tag ${isAllowed ? 'good' : 'bad'}"
            >${isAllowed ? '✓' : '✕'} ${words[decision] ?? decision}</span
          >
          <span>${headline(said?.summary || outcome.reason)}</span>
        </div>
        <p class="lead">
          <code>${what}</code> from
          <code>${identity === '' ? 'nobody (plaintext)' : formatSpiffeAccount(identity)}</code> to
          <code>${form.to}:${port}</code>${!form.tcp && html`, host <code>${host}</code>`}
        </p>
        ${unasked !== '' && html`<p class="note">The sidecar could not be asked (${unasked}): this is judged here, by the snapshot that it enforces.</p>`}
        ${differs && html`<p class="note">Judged here by the same snapshot it would be "${words[outcome.decision]}": ${outcome.reason}. What the steps say is that. The sidecar's word counts.</p>`}
        <ol class="steps">
          ${steps(found)}
        </ol>
      </div>
    </div>
  </div>`;
}

const words: Readonly<Record<string, string>> = {
  allow: 'allowed',
  deny: 'denied, 403',
  unauthenticated: 'unauthenticated, 401',
  badrequest: 'bad request, 400',
  closed: 'closed',
  other: 'refused',
};

function steps({ mtls, outcome, identity, fits }: Inspection): Html[] {
  const { facts, decision, reason } = outcome;
  const by = mtls.policy === '' ? 'by default' : html`by ${mtls.policy} ${placeOf(mtls.at)}`;
  const came = identity === '' ? 'plaintext' : 'mutual TLS';
  if (facts === null && decision === 'closed') {
    return [
      step(
        'bad',
        '✕',
        html`<b>Connection</b>: the port is ${mtls.mode} ${by}; the caller comes with ${came}:
          ${reason}`,
      ),
    ];
  }
  const first = step(
    'good',
    '✓',
    html`<b>Connection</b>: the port is ${mtls.mode} ${by}; the caller comes with ${came}`,
  );
  if (facts === null) return [first, step('bad', '✕', html`<b>Request</b>: ${reason}`)];
  const seen = facts.request === null ? null : html` as <code>${outcome.path}</code>`;
  const second = step(
    'good',
    '✓',
    html`<b>${facts.request === null ? 'Bytes' : 'Request'}</b>: read${seen}`,
  );
  return [first, second, ...groups.map((group) => groupStep(group, fits))].filter(
    (one) => one !== null,
  );
}

interface Group {
  readonly action: RuleFit['action'];
  readonly none: string;
  readonly hit: readonly [kind: 'good' | 'warn' | 'bad' | '', sign: string, words: string];
  /** Without a match, though there are rules. */
  readonly missed: readonly [kind: 'good' | 'bad' | '', sign: string, words: string];
}

const groups: readonly Group[] = [
  {
    action: 'CUSTOM',
    none: '',
    hit: ['warn', '?', 'an authorizer is asked'],
    missed: ['', '–', 'no authorizer is asked'],
  },
  {
    action: 'DENY',
    none: 'none applies',
    hit: ['bad', '✕', 'a rule matches'],
    missed: ['good', '✓', 'no rule matches'],
  },
  {
    action: 'ALLOW',
    none: 'none applies, so nothing needs to be allowed',
    hit: ['good', '✓', 'a rule matches'],
    missed: ['bad', '✕', 'no rule matches'],
  },
  {
    action: 'AUDIT',
    none: '',
    hit: ['', '–', 'a rule matches'],
    missed: ['', '–', 'no rule matches'],
  },
];

function groupStep({ action, none, hit, missed }: Group, fits: readonly RuleFit[]): Html | null {
  const own = fits.filter((fit) => fit.action === action);
  if (own.length === 0)
    return none === '' ? null : step('', '–', html`<b>${action} policies</b>: ${none}`);
  const counts = own.filter(({ isTrial }) => !isTrial);
  const matches = counts.some((fit) => !fit.isDropped && fit.missed.length === 0);
  const [kind, sign, said] = matches
    ? hit
    : counts.length === 0
      ? (['', '–', 'only on trial'] as const)
      : missed;
  // Those that match, then those that come nearest.
  const sorted = own.toSorted((a, b) => a.missed.length - b.missed.length);
  return step(
    kind,
    sign,
    html`<b>${action} policies</b>:
      ${said}${sorted.slice(0, rulesMax).map(ruleFit)}${sorted.length > rulesMax && html`<p class="none">${sorted.length - rulesMax} more rules miss by more.</p>`}`,
  );
}

const rulesMax = 40;

function ruleFit({
  namespace,
  policy,
  rule,
  at,
  matched,
  missed,
  isTrial,
  isDropped,
}: RuleFit): Html {
  const isHit = missed.length === 0 && !isDropped;
  return html`<div class="rule${isHit && ' hit'}">
    ${namespace}/${policy} rule ${rule}
    ${placeOf(at)}${isTrial && html` <span class="tag">dry run</span>`}${isDropped && html` <span class="tag warn">not in force</span>`}${isHit && html` <span class="tag plain">matches</span>`}
    <ul class="fields">
      ${matched.map((field) => html`<li><span class="good">✓</span> <code>${field}</code></li>`)}${missed.map(missedField)}${isHit && matched.length === 0 && html`<li><span class="good">✓</span> it asks for nothing</li>`}
    </ul>
  </div>`;
}

function placeOf(at: string | null): Html | null {
  return at === null ? null : html`<span class="muted mono">${at}</span>`;
}
