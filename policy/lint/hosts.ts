// Hosts: the port stays in them, and a suffix does not include the name itself.
import type { Problem } from '#api/problem.ts';

import { readPattern } from '../match/text.ts';
import { type LintContext, warning } from './context.ts';
import type { PolicyValue } from './values.ts';

export function checkHosts({ values }: LintContext): Problem[] {
  return values.filter(({ field }) => field === 'hosts').flatMap(checkHost);
}

function checkHost(at: PolicyValue): Problem[] {
  const { value, list } = at;
  const { form, text } = readPattern(value);
  if (form === 'any' || text.includes('*')) return [];
  if (/^[a-z]+:\/\//i.test(value) || text.includes('/')) {
    const message = `"${value}" never matches: a host has neither a scheme nor a path`;
    const bare = value.replace(/^[a-z]+:\/\//i, '').replace(/\/.*$/, '');
    return [said(at, 'host-malformed', message, `write "${bare}"`)];
  }
  const problems: Problem[] = [];
  const namesPort = form === 'prefix' || /:\d+$/.test(text);
  const covered = list.some((other) => other !== value && other.startsWith(`${value}:`));
  if (!namesPort && !covered) {
    const example = form === 'suffix' ? `a${text}:8080` : `${text}:8080`;
    const mend = form === 'exact' ? `add "${text}:*"` : `add "${value}:8080" for each port`;
    const message = `"${value}" does not match "Host: ${example}": the port stays in the host`;
    problems.push(said(at, 'host-without-port', message, mend));
  }
  if (form === 'suffix' && text.startsWith('.') && !list.includes(text.slice(1))) {
    const apex = text.slice(1);
    const message = `"${value}" does not match "${apex}" itself`;
    problems.push(said(at, 'host-without-apex', message, `add "${apex}" if it is meant too`));
  }
  return problems;
}

function said(at: PolicyValue, code: string, message: string, mend: string): Problem {
  const { policy, path, label } = at;
  return warning(policy, { code, path, message: `${label}: ${message}`, mend });
}
