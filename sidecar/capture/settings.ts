// Settings of capture: how traffic comes to the sidecar, and what the init container redirects.
import { isIP } from 'node:net';

import { logLevels } from '#runtime/log.ts';
import {
  address,
  anyText,
  integer,
  list,
  listenAddress,
  oneOf,
  type Address,
} from '#runtime/setting-types.ts';
import { readSettings, Wanted, type Settings } from '#runtime/settings.ts';

/** Part of the sidecar's own table. */
export const captureFields = [
  {
    name: 'capture',
    env: 'SELVAGE_CAPTURE',
    parse: oneOf('explicit', 'transparent'),
    default: 'explicit',
    doc: 'how traffic comes here; explicit: the ports of SELVAGE_INBOUND and an HTTP proxy; transparent: iptables redirect it',
  },
  {
    name: 'captureInbound',
    env: 'SELVAGE_CAPTURE_INBOUND',
    parse: listenAddress,
    default: ':15006',
    doc: 'where connections to the workload are redirected to, when capture is transparent',
  },
  {
    name: 'captureOutbound',
    env: 'SELVAGE_CAPTURE_OUTBOUND',
    parse: listenAddress,
    default: ':15001',
    doc: 'where connections of the application are redirected to, when capture is transparent',
  },
  {
    name: 'dnsPort',
    env: 'SELVAGE_DNS_PORT',
    parse: integer({ min: 0, max: 65_535 }),
    default: '0',
    doc: 'port of loopback, UDP and TCP, where the application looks names up: those of the mesh are answered here; 0: none',
  },
  {
    name: 'dnsUpstream',
    env: 'SELVAGE_DNS_UPSTREAM',
    parse: list(',', ipAddress),
    default: '',
    doc: 'name servers for all other names, as 10.96.0.10:53, separated by commas; empty: those of /etc/resolv.conf',
  },
] as const;

const portField = integer({ min: 1, max: 65_535 });
const ports = list(',', portField);

/** Of the init container. */
export const captureInitFields = [
  {
    name: 'inboundPort',
    env: 'SELVAGE_INIT_INBOUND_PORT',
    parse: portField,
    default: '15006',
    doc: 'port of the sidecar for connections to the workload',
  },
  {
    name: 'outboundPort',
    env: 'SELVAGE_INIT_OUTBOUND_PORT',
    parse: portField,
    default: '15001',
    doc: 'port of the sidecar for connections of the application',
  },
  {
    name: 'dnsPort',
    env: 'SELVAGE_INIT_DNS_PORT',
    parse: integer({ min: 0, max: 65_535 }),
    default: '0',
    doc: 'port of the sidecar for questions to the name servers of /etc/resolv.conf; 0: they are left alone',
  },
  {
    name: 'proxyUid',
    env: 'SELVAGE_INIT_PROXY_UID',
    parse: integer({ min: 1, max: 4_294_967_294 }),
    default: '1337',
    doc: 'user and group whose own connections are left alone: those of the sidecar',
  },
  {
    name: 'includeInboundPorts',
    env: 'SELVAGE_INIT_INCLUDE_INBOUND_PORTS',
    parse: everyOr(ports),
    default: '*',
    doc: 'ports whose connections are redirected; *: all; empty: none',
  },
  {
    name: 'excludeInboundPorts',
    env: 'SELVAGE_INIT_EXCLUDE_INBOUND_PORTS',
    parse: ports,
    default: '',
    doc: 'ports that are left alone',
  },
  {
    name: 'includeOutboundCidrs',
    env: 'SELVAGE_INIT_INCLUDE_OUTBOUND_CIDRS',
    parse: everyOr(list(',', cidr)),
    default: '*',
    doc: 'destinations whose connections are redirected; *: all; empty: none',
  },
  {
    name: 'excludeOutboundCidrs',
    env: 'SELVAGE_INIT_EXCLUDE_OUTBOUND_CIDRS',
    parse: list(',', cidr),
    default: '',
    doc: 'destinations that are left alone',
  },
  {
    name: 'includeOutboundPorts',
    env: 'SELVAGE_INIT_INCLUDE_OUTBOUND_PORTS',
    parse: ports,
    default: '',
    doc: 'ports that are redirected wherever they are, beside SELVAGE_INIT_INCLUDE_OUTBOUND_CIDRS',
  },
  {
    name: 'excludeOutboundPorts',
    env: 'SELVAGE_INIT_EXCLUDE_OUTBOUND_PORTS',
    parse: ports,
    default: '',
    doc: 'ports that are left alone',
  },
  {
    name: 'logLevel',
    env: 'SELVAGE_LOG_LEVEL',
    parse: oneOf(...logLevels),
    default: 'info',
    doc: 'least level that is logged',
  },
  {
    name: 'iptables',
    env: 'SELVAGE_INIT_IPTABLES',
    parse: oneOf('auto', 'nft', 'legacy'),
    default: 'auto',
    doc: 'which iptables; auto: the one that has rules already, else the one that works',
  },
  { name: 'path', env: 'PATH', parse: anyText, default: '', doc: 'where programs are' },
] as const;

export type CaptureInitSettings = Settings<typeof captureInitFields>;

/** Throws one SettingsError that names every mistake. */
export function readCaptureInitSettings(
  env: Readonly<Record<string, string | undefined>> = process.env,
): CaptureInitSettings {
  return readSettings(captureInitFields, env);
}

/** Port and address: who looks names up cannot look a name up first. */
function ipAddress(text: string): Address {
  const { host, port } = address(text);
  if (isIP(host) === 0 || port === 0) throw new Wanted('addresses and ports as 10.96.0.10:53');
  return { host, port };
}

function everyOr<T>(parse: (text: string) => T): (text: string) => T | '*' {
  return (text) => (text.trim() === '*' ? '*' : parse(text));
}

/** A network as iptables prints it: `10.0.0.0/8`; an address alone is one of its own size. */
export function cidr(text: string): string {
  const [base = '', prefix, ...rest] = text.split('/');
  const family = isIP(base);
  const bits = family === 6 ? 128 : 32;
  const valid = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
  if (family === 0 || !valid || rest.length > 0 || base.includes('%')) {
    throw new Wanted('networks as 10.0.0.0/8 or fd00::/8');
  }
  const length = Number(prefix ?? bits);
  return `${family === 6 ? networkOf6(base, length) : networkOf4(base, length)}/${length}`;
}

/** Without the bits beyond the prefix, as iptables prints it. */
function networkOf4(base: string, prefix: number): string {
  const bytes = base.split('.').map((byte, i) => Number(byte) & maskOf(prefix - 8 * i, 8));
  return bytes.join('.');
}

function networkOf6(base: string, prefix: number): string {
  // The canonical form, in hexadecimal groups also where the last two were written as IPv4.
  const [front = '', back] = new URL(`http://[${base}]`).hostname.slice(1, -1).split('::');
  const before = groupsOf(front);
  const after = groupsOf(back ?? '');
  const missing = back === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: missing }, () => 0), ...after];
  const masked = groups.map((group, i) => (group & maskOf(prefix - 16 * i, 16)).toString(16));
  return new URL(`http://[${masked.join(':')}]`).hostname.slice(1, -1);
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** The first `ones` of `bits` bits. */
function maskOf(ones: number, bits: number): number {
  const kept = Math.min(Math.max(ones, 0), bits);
  return (2 ** kept - 1) << (bits - kept);
}
