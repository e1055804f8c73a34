// exportTo: the namespaces that see a resource, as Istio's webhook takes them.
import { type Finding, joinIndex } from '../origin.ts';
import { isDnsLabel } from './domain-names.ts';

export interface ExportRules {
  /** Of ServiceEntry alone: `~` hides it from everybody. */
  readonly mayHide?: boolean;
  /** DestinationRule with a workloadSelector: callers are those of its own namespace. */
  readonly ownOnly?: boolean;
}

export function exportFindings(
  exportTo: readonly string[],
  namespace: string,
  { mayHide = false, ownOnly = false }: ExportRules = {},
): Finding[] {
  const findings: Finding[] = [];
  const add = (path: string, message: string, mend?: string): void => {
    const finding = { severity: 'error', code: 'export-invalid', path, message } as const;
    findings.push(mend === undefined ? finding : { ...finding, mend });
  };
  const seen = new Set<string>();
  for (const [i, word] of exportTo.entries()) {
    const at = joinIndex('spec.exportTo', i);
    const meant = word === '.' ? namespace : word;
    if (seen.has(meant)) add(at, `exportTo names ${meant} twice`, 'remove one of them');
    seen.add(meant);
    const known = meant === '*' || isDnsLabel(meant) || (mayHide && meant === '~');
    if (!known) add(at, `"${word}" is no namespace`, 'write ".", "*" or the name of a namespace');
  }
  const alone = [...seen].find((word) => word === '*' || word === '~');
  if (alone !== undefined && seen.size > 1) {
    const said = alone === '*' ? 'all see it' : 'nobody sees it';
    add(
      'spec.exportTo',
      `exportTo has "${alone}", and other namespaces beside it`,
      `${said}: keep one`,
    );
  }
  if (ownOnly && seen.size > 0 && !(seen.size === 1 && seen.has(namespace))) {
    const message = 'a rule with a workloadSelector is for callers of its own namespace alone';
    add('spec.exportTo', message, 'write ["."], or leave exportTo out');
  }
  return findings;
}
