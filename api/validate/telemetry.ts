// Telemetry: what Istio's validating webhook refuses beyond the shape, and what has no effect on a sidecar.
import { checkLogFormat } from '../access-log/check.ts';
import { celFindingText, checkCel } from '../cel/check.ts';
import type { TelemetrySpec, TelemetryTag } from '../kinds/telemetry.ts';
import { type Finding, joinIndex, joinKey } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { type Add, adder } from './adder.ts';
import { attachmentFindings } from './attachment.ts';
import { durationFault } from './durations.ts';

const code = 'telemetry-invalid';

export function validateTelemetry({ spec }: Resource<string, TelemetrySpec>): Finding[] {
  const findings = attachmentFindings(spec);
  const add = adder(findings, 'error', code);
  const warn = adder(findings, 'warning', 'telemetry-doubtful');
  checkTracing(spec.tracing ?? [], add, warn);
  checkMetrics(spec.metrics ?? [], add, warn);
  checkLogs(spec.accessLogging ?? [], add, warn);
  return findings;
}

function checkLogs(list: NonNullable<TelemetrySpec['accessLogging']>, add: Add, warn: Add): void {
  for (const [i, { filter }] of list.entries()) {
    if (filter === undefined || filter.expression === '') continue;
    const at = `${joinIndex('spec.accessLogging', i)}.filter.expression`;
    checkExpression(filter.expression, at, { add, warn, wanted: 'bool' });
  }
}

function checkExpression(
  text: string,
  path: string,
  { add, warn, wanted }: { add: Add; warn: Add; wanted?: 'bool' },
): void {
  for (const finding of checkCel(text, wanted)) {
    const tell = finding.severity === 'error' ? add : warn;
    tell(path, `expression, ${celFindingText(finding)}`, finding.mend);
  }
}

function checkTracing(list: NonNullable<TelemetrySpec['tracing']>, add: Add, warn: Add): void {
  for (const [i, one] of list.entries()) {
    const at = joinIndex('spec.tracing', i);
    const share = one.randomSamplingPercentage;
    if (share !== undefined && !(share >= 0 && share <= 100)) {
      const message = `randomSamplingPercentage: ${share} is not from 0 to 100`;
      add(
        `${at}.randomSamplingPercentage`,
        message,
        'write a percentage: 1 is one call in a hundred',
      );
    }
    if ((one.providers ?? []).length > 1) {
      add(`${at}.providers`, 'only one provider of traces is used', 'name one');
    }
    for (const [name, tag] of Object.entries(one.customTags ?? {})) {
      const path = joinKey(`${at}.customTags`, name);
      checkTag(name, tag, path, add);
      checkFormatter(tag, `${path}.formatter.value`, add, warn);
    }
    if (one.useRequestIdForTraceSampling !== undefined) {
      const message =
        'useRequestIdForTraceSampling has no effect: traces are sampled by their own id';
      warn(`${at}.useRequestIdForTraceSampling`, message, 'remove it');
    }
  }
}

function checkTag(name: string, tag: TelemetryTag, at: string, add: Add): void {
  if (name.trim() === '') add(at, 'a tag has no name');
  const given = Object.entries(tag).filter(([, value]) => value !== undefined);
  if (given.length === 1) return;
  const message = `the tag "${name}" has ${given.length === 0 ? 'none' : 'several'} of literal, environment, header and formatter`;
  add(at, message, 'give it one');
}

function checkFormatter({ formatter }: TelemetryTag, path: string, add: Add, warn: Add): void {
  for (const { severity, message, mend } of checkLogFormat(formatter?.value ?? '')) {
    const tell = severity === 'error' ? add : warn;
    tell(path, `formatter, ${message}`, mend);
  }
}

function checkMetrics(list: NonNullable<TelemetrySpec['metrics']>, add: Add, warn: Add): void {
  for (const [i, { overrides = [], reportingInterval }] of list.entries()) {
    const at = joinIndex('spec.metrics', i);
    const fault = durationFault(reportingInterval);
    if (fault !== null) add(`${at}.reportingInterval`, `reportingInterval: ${fault}`);
    for (const [j, { match, tagOverrides = {} }] of overrides.entries()) {
      const path = joinIndex(`${at}.overrides`, j);
      if (match?.customMetric !== undefined) {
        if (match.metric !== undefined) {
          add(`${path}.match`, 'only one of metric and customMetric may be set');
        } else {
          const message = `sidecars have no metric "${match.customMetric}"`;
          warn(`${path}.match.customMetric`, message, "name one of Istio's by metric");
        }
      }
      checkLabels(tagOverrides, `${path}.tagOverrides`, add, warn);
    }
  }
}

type TagOverrides = NonNullable<
  NonNullable<NonNullable<TelemetrySpec['metrics']>[number]['overrides']>[number]['tagOverrides']
>;

function checkLabels(overrides: TagOverrides, path: string, add: Add, warn: Add): void {
  for (const [name, { operation, value }] of Object.entries(overrides)) {
    const at = joinKey(path, name);
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
      add(at, `"${name}" is no name of a label`, 'letters, digits and _, not a digit first');
    }
    if (operation === 'UPSERT' && value.trim() === '') {
      add(at, `the label "${name}" is to be set, and has no value`, 'write CEL, as request.host');
    } else if (operation === 'UPSERT') {
      checkExpression(value, `${at}.value`, { add, warn });
    }
    if (operation === 'REMOVE' && value !== '') {
      add(at, `the label "${name}" is to be left out, and has a value`, 'remove the value');
    }
  }
}
