// Trust domain aliases: a principal of one of the mesh's trust domains stands for the same account in all of them.

/** The trust domain of Istio's default installation; it always means the mesh's own. */
const defaultTrustDomain = 'cluster.local';

/**
 * The principals that a value stands for. Only `domain/ns/x/sa/y` is expanded: five parts, whose domain is one of
 * the mesh's, a wildcard that meets one, or `cluster.local`.
 * @param domains the trust domain, then its aliases
 */
export function expandPrincipal(value: string, domains: readonly string[]): readonly string[] {
  const parts = value.split('/');
  const [domain = ''] = parts;
  if (parts.length !== 5 || domain === '*') return [value];
  if (domain !== defaultTrustDomain && !domains.some((own) => meets(own, domain))) return [value];
  const rest = value.slice(domain.length);
  // A leading wildcard already meets the domains it ends; those keep it.
  return [...new Set(domains.map((own) => (endsLike(own, domain) ? value : own + rest)))];
}

/** The trust domains that values of `trustDomains` stand for: only an exact name is expanded. */
export function expandTrustDomains(
  values: readonly string[],
  domains: readonly string[],
): readonly string[] {
  return [...new Set(values.flatMap((value) => (domains.includes(value) ? domains : [value])))];
}

/** Either may be the wildcard. */
function meets(own: string, domain: string): boolean {
  return (
    own === domain ||
    own === '*' ||
    beginsLike(own, domain) ||
    beginsLike(domain, own) ||
    endsLike(own, domain) ||
    endsLike(domain, own)
  );
}

function beginsLike(text: string, pattern: string): boolean {
  return pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1));
}

function endsLike(text: string, pattern: string): boolean {
  return pattern.startsWith('*') && text.endsWith(pattern.slice(1));
}
