// Addresses that control gives to hosts of ServiceEntries that have none: Istio's blocks, where nothing real is.

/** Class E, which nobody routes. */
export const automaticIpv4 = '240.240.0.0/16';
/** Of the benchmarking range of RFC 5180, which nobody routes either. */
export const automaticIpv6 = '2001:2::/48';

/** @param address as control writes it */
export function isAutomaticAddress(address: string): boolean {
  return address.startsWith('240.240.') || address.startsWith('2001:2::');
}
