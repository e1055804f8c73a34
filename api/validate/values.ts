// What several fields of policies hold: addresses, ports, service accounts, path templates. Each
// check gives the reason or null.

/** Why a text is no address or CIDR block as Go's netip reads it; null when it is one. */
export function ipBlockFault(value: string): string | null {
  const slash = value.indexOf('/');
  if (slash === -1) {
    return isIp(value) ? null : `"${value}" is no IP address`;
  }
  const address = value.slice(0, slash);
  const bits = value.slice(slash + 1);
  const version = isIpv4(address) ? 4 : isIpv6(address) && !address.includes('%') ? 6 : 0;
  if (version === 0) return `"${address}" is no IP address`;
  const bitsMax = version === 4 ? 32 : 128;
  if (!/^(0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > bitsMax) {
    return `"/${bits}" is no prefix length from 0 to ${bitsMax}`;
  }
  return null;
}

/** Why a text is no port number; null when it is one. Istio lets 0 and leading zeros pass. */
export function portFault(value: string): string | null {
  if (/^\d+$/.test(value) && Number(value) <= 65_535) return null;
  return `"${value}" is no port number from 0 to 65535`;
}

/** Why a text is no `serviceAccount` or `namespace/serviceAccount`; null when it is one. */
export function serviceAccountFault(value: string): string | null {
  if (value === '') return 'an empty value is not allowed';
  if (value.includes('*')) return `"${value}" has a *, and serviceAccounts know no wildcards`;
  const parts = value.split('/');
  if (parts.length > 2 || parts.includes('')) {
    return `"${value}" is neither "serviceAccount" nor "namespace/serviceAccount"`;
  }
  if (Buffer.byteLength(value) > 320) return `"${value}" is longer than 320 characters`;
  return null;
}

const protocols =
  /^(|http|https|http2|http_proxy|grpc|grpc-web|mongo|redis|mysql|tcp|tls|udp|hbone|thrift)$/;

/** What Istio knows as a protocol of a port; '' is found out. */
export function isProtocol(word: string): boolean {
  return protocols.test(word.toLowerCase());
}

export function hasTemplate(path: string): boolean {
  return path.includes('{*}') || path.includes('{**}');
}

/** Why a path cannot be a template; null when it is one, or has no braces. */
export function templateFault(path: string): string | null {
  let anySeen = false;
  for (const segment of trimSlashes(path).split('/')) {
    if (segment === '{*}' || segment === '{**}') {
      if (anySeen) return '{**} must be the last operator of a path';
      anySeen = segment === '{**}';
      continue;
    }
    if (/[{}]/.test(segment)) return `"${segment}" has a brace that is not {*} or {**} by itself`;
    if (hasTemplate(path) && !LITERAL.test(segment)) {
      const what = segment === '' ? 'an empty segment' : `the segment "${segment}"`;
      return `a template may not have ${what}`;
    }
  }
  return null;
}

/** RFC 3986 pchar, as Istio asks of the literal segments of a template. */
const LITERAL = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=]+$/;

function trimSlashes(path: string): string {
  return path.replace(/^\/+/, '').replace(/\/+$/, '');
}

export function isIp(value: string): boolean {
  return isIpv4(value) || isIpv6(value);
}

/** Four decimal bytes, no leading zeros, as Go's netip wants them. */
export function isIpv4(value: string): boolean {
  const parts = value.split('.');
  return parts.length === 4 && parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) < 256);
}

/** Eight groups, one `::`, an IPv4 tail, a zone: as Go's netip. */
export function isIpv6(value: string): boolean {
  const [address = '', ...zone] = value.split('%');
  if (zone.length > 0 && zone.join('%') === '') return false;
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  const last = groups.at(-1) ?? '';
  let count = groups.length;
  if (last.includes('.')) {
    if (!isIpv4(last) || address.endsWith('::')) return false;
    groups.pop();
    count++;
  }
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return false;
  return halves.length === 2 ? count < 8 : count === 8;
}
