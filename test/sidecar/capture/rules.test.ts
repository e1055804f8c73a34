import {
  array,
  assert,
  constantFrom,
  integer,
  ipV4,
  ipV6,
  oneof,
  property,
  tuple,
} from 'fast-check';
import { expect, test } from 'vitest';

import { removeText, restoreText, rulesOf, type Family } from '#sidecar/capture/rules.ts';
import { readCaptureInitSettings } from '#sidecar/capture/settings.ts';

const defaults = readCaptureInitSettings({});

/** What iptables-save would print after a restore of these rules. */
function savedWith(rules: readonly string[]): string {
  const chains = ['SELVAGE_INBOUND', 'SELVAGE_IN_REDIRECT', 'SELVAGE_OUTPUT', 'SELVAGE_REDIRECT'];
  const head = ':OUTPUT ACCEPT [0:0]\n:PREROUTING ACCEPT [0:0]';
  return `*nat\n${head}\n${chains.map((chain) => `:${chain} - [0:0]`).join('\n')}\n${rules.join('\n')}\nCOMMIT\n`;
}

test('by default everything but the sidecar and its own ports is redirected', () => {
  expect(rulesOf(defaults, 4)).toEqual([
    '-A PREROUTING -p tcp -j SELVAGE_INBOUND',
    '-A OUTPUT -p tcp -j SELVAGE_OUTPUT',
    '-A SELVAGE_INBOUND -p tcp -m tcp --dport 15020 -j RETURN',
    '-A SELVAGE_INBOUND -p tcp -m tcp --dport 15021 -j RETURN',
    '-A SELVAGE_INBOUND -p tcp -m tcp --dport 15090 -j RETURN',
    '-A SELVAGE_INBOUND -p tcp -j SELVAGE_IN_REDIRECT',
    '-A SELVAGE_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006',
    '-A SELVAGE_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN',
    '-A SELVAGE_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m owner --uid-owner 1337 -j SELVAGE_IN_REDIRECT',
    '-A SELVAGE_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN',
    '-A SELVAGE_OUTPUT -m owner --uid-owner 1337 -j RETURN',
    '-A SELVAGE_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m owner --gid-owner 1337 -j SELVAGE_IN_REDIRECT',
    '-A SELVAGE_OUTPUT -o lo -m owner ! --gid-owner 1337 -j RETURN',
    '-A SELVAGE_OUTPUT -m owner --gid-owner 1337 -j RETURN',
    '-A SELVAGE_OUTPUT -d 127.0.0.1/32 -j RETURN',
    '-A SELVAGE_OUTPUT -j SELVAGE_REDIRECT',
    '-A SELVAGE_REDIRECT -p tcp -j REDIRECT --to-ports 15001',
  ]);
});

test('what is included and excluded goes to the family that it belongs to, exclusions first', () => {
  const settings = readCaptureInitSettings({
    SELVAGE_INIT_INCLUDE_INBOUND_PORTS: '8080,9090',
    SELVAGE_INIT_EXCLUDE_INBOUND_PORTS: '22',
    SELVAGE_INIT_INCLUDE_OUTBOUND_CIDRS: '10.9.9.9/8,fd00::1/16',
    SELVAGE_INIT_EXCLUDE_OUTBOUND_CIDRS: '169.254.169.254,fe80::/10',
    SELVAGE_INIT_INCLUDE_OUTBOUND_PORTS: '443',
    SELVAGE_INIT_EXCLUDE_OUTBOUND_PORTS: '25',
  });
  const six = rulesOf(settings, 6);
  expect(six.filter((rule) => rule.startsWith('-A SELVAGE_INBOUND')).slice(3)).toEqual([
    '-A SELVAGE_INBOUND -p tcp -m tcp --dport 22 -j RETURN',
    '-A SELVAGE_INBOUND -p tcp -m tcp --dport 8080 -j SELVAGE_IN_REDIRECT',
    '-A SELVAGE_INBOUND -p tcp -m tcp --dport 9090 -j SELVAGE_IN_REDIRECT',
  ]);
  expect(six.slice(-6, -1)).toEqual([
    '-A SELVAGE_OUTPUT -d ::1/128 -j RETURN',
    '-A SELVAGE_OUTPUT -p tcp -m tcp --dport 25 -j RETURN',
    '-A SELVAGE_OUTPUT -d fe80::/10 -j RETURN',
    '-A SELVAGE_OUTPUT -p tcp -m tcp --dport 443 -j SELVAGE_REDIRECT',
    '-A SELVAGE_OUTPUT -d fd00::/16 -j SELVAGE_REDIRECT',
  ]);
  const four = rulesOf(settings, 4).join('\n');
  expect(four).toContain('-A SELVAGE_OUTPUT -d 169.254.169.254/32 -j RETURN');
  expect(four).toContain('-A SELVAGE_OUTPUT -d 10.0.0.0/8 -j SELVAGE_REDIRECT');
  expect(four).not.toContain('fd00');
});

test('nothing included is nothing redirected', () => {
  const settings = readCaptureInitSettings({
    SELVAGE_INIT_INCLUDE_INBOUND_PORTS: '',
    SELVAGE_INIT_INCLUDE_OUTBOUND_CIDRS: '',
  });
  const rules = rulesOf(settings, 4).filter((rule) => /^-A SELVAGE_(INBOUND|OUTPUT)/.test(rule));
  expect(rules.filter((rule) => rule.endsWith('-j SELVAGE_REDIRECT'))).toEqual([]);
  expect(rules.filter((rule) => /INBOUND.*IN_REDIRECT/.test(rule))).toEqual([]);
});

test('rules that are there already are left; others are replaced, with no second jump', () => {
  const rules = rulesOf(defaults, 4);
  expect(restoreText(rules, savedWith(rules))).toBeNull();
  const others = rulesOf({ ...defaults, inboundPort: 16_006 }, 4);
  const text = restoreText(rules, savedWith(others)) ?? '';
  expect(text).toContain('-D PREROUTING -p tcp -j SELVAGE_INBOUND\n');
  expect(text).toContain(':SELVAGE_INBOUND - [0:0]\n');
  // The order of rules is their meaning.
  const [last = '', ...front] = rules.toReversed();
  expect(restoreText(rules, savedWith([last, ...front.toReversed()]))).toBeNull();
  const swapped = [...rules];
  [swapped[8], swapped[9]] = [rules[9] ?? '', rules[8] ?? ''];
  expect(restoreText(rules, savedWith(swapped))).not.toBeNull();
});

test('removing names what is ours and nothing else', () => {
  expect(removeText('*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j KUBE-X\nCOMMIT\n')).toBeNull();
  const saved = `${savedWith(rulesOf(defaults, 4))}-A OUTPUT -j KUBE-X\n`;
  const text = removeText(saved) ?? '';
  expect(text.match(/^-D /gm)).toHaveLength(2);
  expect(text.match(/^-X SELVAGE_\w+$/gm)).toHaveLength(4);
  expect(text).not.toContain('KUBE');
});

const port = integer({ min: 1, max: 65_535 });
const ports = array(port, { maxLength: 5 });
const cidr = oneof(
  tuple(ipV4(), integer({ min: 0, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`),
  tuple(ipV6(), integer({ min: 0, max: 128 })).map(([ip, bits]) => `${ip}/${bits}`),
);
const cidrs = array(cidr, { maxLength: 4 });
const families = constantFrom<Family[]>(4, 6);

test('any settings give rules of a known form, which are there once they are set', () => {
  const form =
    /^-A [A-Z_]+( -s \S+)?( (! )?-d \S+)?( -o lo)?( -p tcp)?( -m tcp --dport \d+)?( -m owner (! )?--[ug]id-owner \d+)? -j [A-Z_]+( --to-ports \d+)?$/;
  assert(
    property(ports, ports, cidrs, cidrs, families, (some, others, into, out, family) => {
      const settings = readCaptureInitSettings({
        SELVAGE_INIT_INCLUDE_INBOUND_PORTS: some.join(','),
        SELVAGE_INIT_EXCLUDE_INBOUND_PORTS: others.join(','),
        SELVAGE_INIT_INCLUDE_OUTBOUND_CIDRS: into.join(','),
        SELVAGE_INIT_EXCLUDE_OUTBOUND_CIDRS: out.join(','),
        SELVAGE_INIT_EXCLUDE_OUTBOUND_PORTS: others.join(','),
      });
      const rules = rulesOf(settings, family);
      for (const rule of rules) expect(rule).toMatch(form);
      expect(restoreText(rules, savedWith(rules))).toBeNull();
      expect(new Set(rules).size).toBe(rules.length);
    }),
  );
});

test('questions to the name servers of the pod are redirected, of each family its own, but not those of the sidecar', () => {
  const settings = {
    ...readCaptureInitSettings({
      SELVAGE_INIT_DNS_PORT: '15053',
      SELVAGE_INIT_INCLUDE_OUTBOUND_CIDRS: '10.0.0.0/8',
    }),
    dnsServers: ['10.96.0.10/32', 'fd96::a/128'],
  };
  const four = rulesOf(settings, 4);
  expect(four.filter((rule) => /DNS|SELVAGE_REDIRECT$/.test(rule))).toEqual([
    '-A OUTPUT -p udp -m udp --dport 53 -j SELVAGE_DNS',
    '-A SELVAGE_DNS -m owner --uid-owner 1337 -j RETURN',
    '-A SELVAGE_DNS -m owner --gid-owner 1337 -j RETURN',
    '-A SELVAGE_DNS -d 10.96.0.10/32 -p udp -j REDIRECT --to-ports 15053',
    '-A SELVAGE_DNS -d 10.96.0.10/32 -p tcp -j REDIRECT --to-ports 15053',
    '-A SELVAGE_OUTPUT -p tcp -m tcp --dport 53 -j SELVAGE_DNS',
    // What is answered must come to the sidecar too, though nobody has included it.
    '-A SELVAGE_OUTPUT -d 10.0.0.0/8 -j SELVAGE_REDIRECT',
    '-A SELVAGE_OUTPUT -d 240.240.0.0/16 -j SELVAGE_REDIRECT',
  ]);
  expect(rulesOf(settings, 6)).toContain(
    '-A SELVAGE_DNS -d fd96::a/128 -p udp -j REDIRECT --to-ports 15053',
  );
  expect(restoreText(four, '')).toContain(':SELVAGE_DNS - [0:0]');
  const saved = `${savedWith(four)}:SELVAGE_DNS - [0:0]\n`;
  expect(restoreText(four, saved)).toBeNull();
  // Without it from now on: its chain is emptied, and the jump there goes.
  const without = restoreText(rulesOf(defaults, 4), saved);
  expect(without).toContain('-D OUTPUT -p udp -m udp --dport 53 -j SELVAGE_DNS');
  expect(without).toContain(':SELVAGE_DNS - [0:0]');
  expect(removeText(saved)).toContain('-X SELVAGE_DNS');
});
