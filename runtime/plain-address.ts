// IP addresses as policies, logs and snapshots write them.

/** An IPv4 peer of a dual-stack listener is an IPv4 peer: `::ffff:10.0.0.7` is 10.0.0.7, and policies never match the mapped form. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}

/** `address:port`, IPv6 in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
