// LoadBalancerSettings: one way to choose, hashes with a key, localities that add up.
import type { LoadBalancerSpec } from '../kinds/traffic-policy.ts';
import { type Finding, joinIndex, joinKey } from '../origin.ts';
import { durationFault } from './durations.ts';

type Setting = NonNullable<LoadBalancerSpec['localityLbSetting']>;
type Hash = NonNullable<LoadBalancerSpec['consistentHash']>;

const maglevTableMax = 5_000_011;
const topologyLabel = /^topology\.(kubernetes\.io\/(region|zone)|istio\.io\/subzone)$/;

/** @param ejects whether outliers are detected: failover is of no effect without */
export function balancerFindings(
  balancer: LoadBalancerSpec | undefined,
  ejects: boolean,
  at: string,
): Finding[] {
  if (balancer === undefined) return [];
  const { simple, consistentHash, localityLbSetting, zoneAwareLbSetting } = balancer;
  const { warmup, warmupDurationSecs } = balancer;
  const findings: Finding[] = [];
  const add = (path: string, message: string | null, mend?: string): void => {
    if (message !== null) findings.push(finding('error', path, message, mend));
  };
  if (simple !== undefined && consistentHash !== undefined) {
    add(`${at}.simple`, 'only one of simple and consistentHash may be set', 'remove one of them');
  }
  if (consistentHash !== undefined) {
    findings.push(...hashFindings(consistentHash, `${at}.consistentHash`));
  }
  if (localityLbSetting !== undefined) {
    findings.push(...localityFindings(localityLbSetting, ejects, `${at}.localityLbSetting`));
  }
  if (zoneAwareLbSetting !== undefined) {
    const path = `${at}.zoneAwareLbSetting`;
    if (localityLbSetting !== undefined) {
      const message = 'only one of localityLbSetting and zoneAwareLbSetting may be set';
      add(path, message, 'remove one of them');
    }
    if (zoneAwareLbSetting.failoverPriority.some((label) => topologyLabel.test(label))) {
      const message = 'regions and zones count by themselves: no topology labels';
      add(`${path}.failoverPriority`, message, 'remove those labels');
    }
    const { failover, failoverPriority } = zoneAwareLbSetting;
    // Those labels were told of already.
    const labels = failoverPriority.filter((label) => !topologyLabel.test(label));
    const setting = { distribute: [], failover, failoverPriority: labels };
    findings.push(...localityFindings(setting, ejects, path));
  }
  add(`${at}.warmupDurationSecs`, durationFault(warmupDurationSecs));
  if (warmup === undefined) return findings;
  const { duration, minimumPercent = 0, aggression = 1 } = warmup;
  if (duration === undefined) add(`${at}.warmup`, 'a warmup needs a duration', 'add duration: 30s');
  add(`${at}.warmup.duration`, durationFault(duration));
  if (minimumPercent > 100) add(`${at}.warmup.minimumPercent`, 'minimumPercent is at most 100');
  if (aggression < 1) add(`${at}.warmup.aggression`, 'aggression is at least 1');
  return findings;
}

function hashFindings(hash: Hash, at: string): Finding[] {
  const findings: Finding[] = [];
  const add = (path: string, message: string, mend?: string): void => {
    findings.push(finding('error', path, message, mend));
  };
  const { httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName } = hash;
  const keys = [httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName];
  const given = keys.filter((key) => key !== undefined).length;
  if (given > 1) add(at, 'only one key of a consistentHash may be set', 'remove the others');
  if (given === 0) add(at, 'a consistentHash needs what it hashes', 'add httpHeaderName or so');
  if (httpCookie !== undefined) {
    if (httpCookie.name === '') add(`${at}.httpCookie.name`, 'the cookie needs a name');
    const fault = durationFault(httpCookie.ttl, true);
    if (fault !== null) add(`${at}.httpCookie.ttl`, `ttl: ${fault}`);
  }
  const { ringHash, maglev, minimumRingSize } = hash;
  const ways = [ringHash, maglev].filter((way) => way !== undefined).length;
  if (ways + (minimumRingSize === 0 ? 0 : 1) > 1) {
    add(at, 'only one of ringHash, maglev and minimumRingSize may be set', 'remove the others');
  } else if (minimumRingSize !== 0) {
    const message = 'minimumRingSize is deprecated';
    findings.push(
      finding('warning', `${at}.minimumRingSize`, message, 'write ringHash.minimumRingSize'),
    );
  }
  const size = maglev?.tableSize;
  if (size !== undefined && (!isPrime(size) || size >= maglevTableMax)) {
    const message = `tableSize is a prime below ${maglevTableMax}, and ${size} is none`;
    add(`${at}.maglev.tableSize`, message, 'write 65537');
  }
  return findings;
}

function isPrime(number: number): boolean {
  if (number < 2) return false;
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return false;
  return true;
}

/** Also of the mesh's own setting. */
export function localityFindings(setting: Setting, ejects: boolean, at: string): Finding[] {
  const { distribute, failover, failoverPriority } = setting;
  const findings: Finding[] = [];
  const add = (path: string, message: string, mend?: string): void => {
    findings.push(finding('error', path, message, mend));
  };
  if (distribute.length > 0 && failover.length > 0) {
    add(at, 'only one of distribute and failover may be set', 'remove one of them');
    return findings;
  }
  if (failover.length > 0 && failoverPriority.some((label) => topologyLabel.test(label))) {
    const message = 'failover between regions and topology labels contradict each other';
    add(`${at}.failoverPriority`, message, 'remove failover, or those labels');
  }
  for (const [i, { to }] of distribute.entries()) {
    const path = joinIndex(`${at}.distribute`, i);
    for (const [place, percent] of Object.entries(to)) {
      if (percent >= 1 && percent <= 100) continue;
      add(joinKey(`${path}.to`, place), `a share is from 1 to 100, and not ${percent}`);
    }
    const sum = Object.values(to).reduce((a, b) => a + b, 0);
    if (sum !== 100) add(`${path}.to`, `the shares make ${sum} percent, and not 100`);
    const fault = placesFault(Object.keys(to));
    if (fault !== null) add(`${path}.to`, fault);
  }
  const fault = placesFault(distribute.map(({ from }) => from));
  if (fault !== null) add(`${at}.distribute`, fault);
  if (failover.length + failoverPriority.length > 0 && !ejects) {
    const message = 'without outlierDetection nothing ever fails over';
    findings.push(finding('warning', at, message, 'add outlierDetection: {}'));
  }
  for (const [i, { from, to }] of failover.entries()) {
    const path = joinIndex(`${at}.failover`, i);
    if (from === to) add(path, 'a region cannot take over from itself');
    if (/[/*]/.test(from + to))
      add(path, 'failover is from region to region', 'write region names');
  }
  return findings;
}

/** Places are told apart: none may cover another. */
function placesFault(places: readonly string[]): string | null {
  const seen: string[][] = [];
  for (const place of places) {
    const parts = place.split('/');
    if (parts.length > 3 || parts.includes('')) return `"${place}" is no region/zone/subzone`;
    if (/\*./.test(place)) return `"${place}" may have a * at its end only`;
    if (/[^/]\*/.test(place)) return `"${place}": a * stands for a whole region, zone or subzone`;
    if (seen.some((other) => covers(other, parts) || covers(parts, other))) {
      return `"${place}" overlaps with another place`;
    }
    seen.push(parts);
  }
  return null;
}

function covers(wide: readonly string[], narrow: readonly string[]): boolean {
  const parts = wide.at(-1) === '*' ? wide.slice(0, -1) : wide;
  return parts.every((part, i) => part === narrow[i]);
}

function finding(
  severity: Finding['severity'],
  path: string,
  message: string,
  mend?: string,
): Finding {
  const base = { severity, code: 'traffic-policy-invalid', path, message };
  return mend === undefined ? base : { ...base, mend };
}
