// The iptables rules that bring a pod's TCP to its sidecar, as text for iptables-restore; the semantics are Istio's.
import { automaticIpv4, automaticIpv6 } from '#api/automatic-address.ts';

import type { CaptureInitSettings } from './settings.ts';

export type Family = 4 | 6;

/** What decides the rules. */
export type RuleSettings = Omit<CaptureInitSettings, 'logLevel' | 'iptables' | 'path'> & {
  /** The name servers that the pod asks, each as a network of one address. */
  readonly dnsServers?: readonly string[];
};

/** Ports of the sidecar itself that the kubelet and Prometheus call in the clear. */
const ownPorts = [15_020, 15_021, 15_090];

const chains = ['SELVAGE_INBOUND', 'SELVAGE_IN_REDIRECT', 'SELVAGE_OUTPUT', 'SELVAGE_REDIRECT'];
const dnsChain = 'SELVAGE_DNS';
/** What leads to our chains from those of the kernel. */
const jumps = ['-A PREROUTING -p tcp -j SELVAGE_INBOUND', '-A OUTPUT -p tcp -j SELVAGE_OUTPUT'];
const dnsJump = `-A OUTPUT -p udp -m udp --dport 53 -j ${dnsChain}`;

/** From there the sidecar calls the application: see `OUTPUT`'s first rule. */
export const passthroughSource = { 4: '127.0.0.6', 6: '::6' } as const;
const loopback = { 4: '127.0.0.1/32', 6: '::1/128' } as const;

/** Rules of our chains in the form in which iptables-save prints them, jumps to them first. */
export function rulesOf(settings: RuleSettings, family: Family): string[] {
  const { inboundPort, outboundPort } = settings;
  return [
    ...jumps,
    ...(settings.dnsPort === 0 ? [] : dnsRules(settings, family)),
    ...inboundRules(settings),
    `-A SELVAGE_IN_REDIRECT -p tcp -j REDIRECT --to-ports ${inboundPort}`,
    ...outputRules(settings, family),
    `-A SELVAGE_REDIRECT -p tcp -j REDIRECT --to-ports ${outboundPort}`,
  ];
}

/**
 * Puts the rules in place of whatever is in our chains, in one commit.
 * @param saved what `iptables-save -t nat` prints now
 * @returns null: they are there already
 */
export function restoreText(rules: readonly string[], saved: string): string | null {
  const present = ownLines(saved);
  const same = present.length === rules.length && rules.every((rule) => present.includes(rule));
  if (same && inOrder(rules, present)) return null;
  return table([
    ...removals(present),
    // Naming a chain makes it, or empties the one that is there.
    ...chainsOf([...rules, ...present]).map((chain) => `:${chain} - [0:0]`),
    ...rules,
  ]);
}

/** Takes away exactly what `restoreText` has added; null: there is nothing. */
export function removeText(saved: string): string | null {
  const there = [...chains, dnsChain].filter((chain) => new RegExp(`^:${chain} `, 'm').test(saved));
  if (there.length === 0) return null;
  return table([
    ...removals(ownLines(saved)),
    ...there.map((chain) => `-F ${chain}`),
    ...there.map((chain) => `-X ${chain}`),
  ]);
}

/** How many rules and chains there are, of whomever: tells which iptables a system uses. */
export function countRules(saved: string): number {
  return saved.split('\n').filter((line) => /^-A |^:\S+ - /.test(line)).length;
}

function inboundRules(settings: RuleSettings): string[] {
  const { includeInboundPorts: include, excludeInboundPorts: exclude } = settings;
  const excluded = unique([...ownPorts, ...exclude]).map((port) =>
    inbound(`-m tcp --dport ${port} -j RETURN`),
  );
  const included =
    include === '*'
      ? [inbound('-j SELVAGE_IN_REDIRECT')]
      : unique(include).map((port) => inbound(`-m tcp --dport ${port} -j SELVAGE_IN_REDIRECT`));
  return [...excluded, ...included];
}

function inbound(rest: string): string {
  return `-A SELVAGE_INBOUND -p tcp ${rest}`;
}

/**
 * Only questions to the servers that the system asks, as in Istio: a name server in the pod that asks others in turn would get
 * its own questions back. Connections come here from the chain of all others, before that lets anything pass.
 */
function dnsRules(settings: RuleSettings, family: Family): string[] {
  const { proxyUid: id, dnsPort, dnsServers = [] } = settings;
  const servers = unique(dnsServers).filter((server) => server.includes(':') === (family === 6));
  return [
    dnsJump,
    ...['uid', 'gid'].map((owner) => `-A ${dnsChain} -m owner --${owner}-owner ${id} -j RETURN`),
    ...servers.flatMap((server) =>
      ['udp', 'tcp'].map(
        (protocol) =>
          `-A ${dnsChain} -d ${server} -p ${protocol} -j REDIRECT --to-ports ${dnsPort}`,
      ),
    ),
  ];
}

function outputRules(settings: RuleSettings, family: Family): string[] {
  const { proxyUid: id } = settings;
  return [
    ...(settings.dnsPort === 0 ? [] : [output(`-p tcp -m tcp --dport 53 -j ${dnsChain}`)]),
    // The sidecar hands a connection to the application: it must not come back to the sidecar.
    output(`-s ${passthroughSource[family]}/${family === 4 ? 32 : 128} -o lo -j RETURN`),
    ...['uid', 'gid'].flatMap((owner) => [
      // The sidecar chose this very pod as the endpoint: policies are to judge that call too.
      output(
        `! -d ${loopback[family]} -o lo -p tcp -m owner --${owner}-owner ${id} -j SELVAGE_IN_REDIRECT`,
      ),
      // The application talks to itself.
      output(`-o lo -m owner ! --${owner}-owner ${id} -j RETURN`),
      output(`-m owner --${owner}-owner ${id} -j RETURN`),
    ]),
    output(`-d ${loopback[family]} -j RETURN`),
    ...destinationRules(settings, family),
  ];
}

function destinationRules(settings: RuleSettings, family: Family): string[] {
  const { includeOutboundCidrs: include } = settings;
  const ofFamily = (cidr: string): boolean => cidr.includes(':') === (family === 6);
  // Nobody but the sidecar knows what is behind the addresses that it answers with.
  const automatic = settings.dnsPort === 0 ? [] : [automaticIpv4, automaticIpv6];
  const destinations = include === '*' ? [] : [...include, ...automatic];
  const excluded = [
    ...unique(settings.excludeOutboundPorts).map((port) => `-p tcp -m tcp --dport ${port} `),
    ...unique(settings.excludeOutboundCidrs).filter(ofFamily).map(toNetwork),
  ].map((match) => output(`${match}-j RETURN`));
  const included = [
    ...unique(settings.includeOutboundPorts).map((port) => `-p tcp -m tcp --dport ${port} `),
    ...(include === '*' ? [''] : unique(destinations).filter(ofFamily).map(toNetwork)),
  ].map((match) => output(`${match}-j SELVAGE_REDIRECT`));
  return [...excluded, ...included];
}

function output(rest: string): string {
  return `-A SELVAGE_OUTPUT ${rest}`;
}

/** iptables leaves a match of everything out. */
function toNetwork(cidr: string): string {
  return cidr.endsWith('/0') ? '' : `-d ${cidr} `;
}

function removals(present: readonly string[]): string[] {
  return present.filter(isJump).map((line) => line.replace('-A ', '-D '));
}

/** Rules of our chains and the jumps to them, among everybody's. */
function ownLines(saved: string): string[] {
  return saved
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('-A SELVAGE_') || isJump(line));
}

function isJump(line: string): boolean {
  return line === dnsJump || jumps.includes(line);
}

/** That of names only where something is in it. */
function chainsOf(rules: readonly string[]): readonly string[] {
  const hasDns = rules.some((rule) => rule.startsWith(`-A ${dnsChain} `));
  return hasDns ? [...chains, dnsChain] : chains;
}

/** Within each chain; the chains themselves come in an order of iptables' own. */
function inOrder(rules: readonly string[], present: readonly string[]): boolean {
  return [...chains, dnsChain].every((chain) => {
    const of = (lines: readonly string[]): string =>
      lines.filter((line) => line.startsWith(`-A ${chain} `)).join('\n');
    return of(rules) === of(present);
  });
}

function table(lines: readonly string[]): string {
  return `*nat\n${lines.join('\n')}\nCOMMIT\n`;
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
