// Names of hosts in rules: short ones made whole, and which of two covers the other. Loads nothing.

/** Kubernetes' cluster domain: of names, not of identities. */
const clusterDomain = 'cluster.local';

/** As in Istio: a name without a dot is a Service of the rule's own namespace. Lower-case. */
export function fullHost(host: string, namespace: string): string {
  const name = host.toLowerCase().replace(/(?<=.)\.$/, '');
  if (name === '' || name === '*' || name.includes('.') || name.includes(':')) return name;
  return serviceHost(name, namespace);
}

/** `payments.shop.svc.cluster.local` */
export function serviceHost(name: string, namespace: string): string {
  return `${name}.${namespace}.svc.${clusterDomain}`.toLowerCase();
}

export function isWildcard(host: string): boolean {
  return host.startsWith('*');
}

/** Whether two hosts, each perhaps a wildcard, have a name in common. */
export function hostsOverlap(a: string, b: string): boolean {
  if (isWildcard(a) && isWildcard(b)) {
    return a.length < b.length ? b.slice(1).endsWith(a.slice(1)) : a.slice(1).endsWith(b.slice(1));
  }
  return isWildcard(a) ? b.endsWith(a.slice(1)) : hostCovers(b, a);
}

/** Whether every name that `host` stands for is one of `pattern`. */
export function hostCovers(pattern: string, host: string): boolean {
  if (!isWildcard(pattern)) return pattern === host;
  const tail = isWildcard(host) ? host.slice(1) : host;
  return tail.endsWith(pattern.slice(1));
}
