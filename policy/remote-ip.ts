// The client's address as a sidecar believes it: the last element of X-Forwarded-For, else the TCP peer.
import { readIp } from './match/ip.ts';

/**
 * The address behind `remote.ip` and `remoteIpBlocks`. A sidecar trusts anyone's X-Forwarded-For, as Istio's does
 * (use_remote_address is false), so it can be forged; `source.ip` cannot.
 * @param xForwardedFor the values of each line, in order
 * @param peerIp the TCP peer, given back when the last element is no plain address
 */
export function remoteIp(xForwardedFor: readonly string[], peerIp: string): string {
  for (let i = xForwardedFor.length - 1; i >= 0; i--) {
    const line = xForwardedFor[i] ?? '';
    if (line === '') continue;
    const last = line.slice(line.lastIndexOf(',') + 1).trim();
    return readIp(last).version === 0 ? peerIp : last;
  }
  return peerIp;
}
