// ResponseCache: times that are none, and a body that no cache of that size can keep.
import type { ResponseCacheSpec } from '../kinds/response-cache.ts';
import { type Finding, joinIndex } from '../origin.ts';
import type { Resource } from '../resource.ts';
import { adder } from './adder.ts';
import { durationFault } from './durations.ts';
import { extensionFindings } from './extension.ts';
import { checkRequestMatches } from './request-match.ts';

const code = 'response-cache-invalid';

export function validateResponseCache({ spec }: Resource<string, ResponseCacheSpec>): Finding[] {
  const findings = extensionFindings('a ResponseCache', spec, code);
  const add = adder(findings, 'error', code);
  for (const [i, rule] of spec.rules.entries()) {
    const at = joinIndex('spec.rules', i);
    checkRequestMatches(rule.match, at, add);
    const fault = durationFault(rule.defaultTtl, true);
    if (fault !== null) add(`${at}.defaultTtl`, `defaultTtl: ${fault}`);
  }
  if (spec.maxBodyBytes > spec.maxBytes) {
    const message = `a body of ${spec.maxBodyBytes} bytes has no room in ${spec.maxBytes}`;
    add('spec.maxBodyBytes', message, 'make maxBytes several times larger');
  }
  return findings;
}
