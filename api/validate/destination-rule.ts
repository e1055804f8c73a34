// DestinationRule: what Istio's validating webhook refuses beyond the shape.
import type { DestinationRuleSpec, SubsetSpec } from '../kinds/destination-rule.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { isDnsLabel, wildcardNameFault } from './domain-names.ts';
import { exportFindings } from './export-to.ts';
import { labelFindings, selectorLabelFindings } from './labels.ts';
import { policyFindings } from './traffic-policy.ts';

export function validateDestinationRule(rule: Resource<string, DestinationRuleSpec>): Finding[] {
  const { host, trafficPolicy, subsets, exportTo, workloadSelector } = rule.spec;
  const findings: Finding[] = [];
  const fault = wildcardNameFault(host);
  if (fault !== null) {
    const mend = 'name a Service, or write a whole host';
    findings.push(error('spec.host', `host: ${fault}`, mend));
  }
  findings.push(...policyFindings(trafficPolicy, 'spec.trafficPolicy'));
  const names = new Set<string>();
  for (const [i, subset] of subsets.entries()) {
    const at = joinIndex('spec.subsets', i);
    if (names.has(subset.name)) {
      findings.push(error(`${at}.name`, `there are two subsets "${subset.name}"`, 'rename one'));
    }
    names.add(subset.name);
    findings.push(...subsetFindings(subset, at));
  }
  const ownOnly = workloadSelector !== undefined;
  findings.push(...exportFindings(exportTo, rule.metadata.namespace, { ownOnly }));
  if (workloadSelector !== undefined) {
    const { matchLabels } = workloadSelector;
    findings.push(...selectorLabelFindings(matchLabels, 'spec.workloadSelector.matchLabels'));
  }
  return findings;
}

function subsetFindings({ name, labels, trafficPolicy }: SubsetSpec, at: string): Finding[] {
  const findings = labelFindings(labels, `${at}.labels`);
  if (!isDnsLabel(name)) {
    const message = name === '' ? 'a subset needs a name' : `"${name}" is no name of a subset`;
    findings.push(error(`${at}.name`, message, 'use letters, digits and "-"'));
  }
  return [...findings, ...policyFindings(trafficPolicy, `${at}.trafficPolicy`)];
}

function error(path: string, message: string, mend: string): Finding {
  return { severity: 'error', code: 'destination-rule-invalid', path, message, mend };
}
