// The settings of the CA: in a cluster or not, and which accounts get DNS names.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readCaSettings } from '#ca/settings.ts';
import { SettingsError } from '#runtime/settings.ts';

const local = { SELVAGE_CA_DIR: '/tmp/x', SELVAGE_CA_JWKS_FILE: '/tmp/y' };
const cluster = { SELVAGE_KUBERNETES: 'https://10.0.0.1:6443' };

test('a folder with a key set, or a cluster, but not both and not none', () => {
  expect(readCaSettings(local).kubernetes).toBeNull();
  expect(readCaSettings(cluster).kubernetes?.host).toBe('10.0.0.1:6443');
  expect(() => readCaSettings({ ...local, ...cluster })).toThrow(/_DIR and .*\n.*_JWKS_FILE and/);
  expect(() => readCaSettings({})).toThrow(/SELVAGE_CA_DIR is not set.*\n.*SELVAGE_CA_JWKS_FILE/);
  expect(() => readCaSettings({ SELVAGE_KUBERNETES: 'http://10.0.0.1' })).toThrow('https');
});

test('what is contradictory and what is malformed is told at once', () => {
  const env = { ...local, ...cluster, SELVAGE_CA_RATE: 'x' };
  expect(() => readCaSettings(env)).toThrow(/3 wrong setting/);
});

test('the injector has its DNS name without being told; accounts may have several', () => {
  expect(readCaSettings(cluster).servingNames).toEqual([
    {
      account: 'selvage-system/selvage-injector',
      dnsName: 'selvage-injector.selvage-system.svc',
    },
  ]);
  const text = 'a/b=c.svc, a/b=c.svc.cluster.local';
  const { servingNames } = readCaSettings({ ...cluster, SELVAGE_CA_SERVING_NAMES: text });
  expect(servingNames.map(({ dnsName }) => dnsName)).toEqual(['c.svc', 'c.svc.cluster.local']);
});

test('any text as a serving name is an account with a DNS name, or a mistake', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z/=.*-]{0,20}$/)), (text) => {
      const names = namesOrRefused(text);
      for (const { account, dnsName } of names) {
        expect(account).toMatch(/^[a-z0-9-]+\/[a-z0-9.-]+$/);
        expect(dnsName).toMatch(/^[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*$/);
      }
    }),
    { numRuns: 500, seed: 2 },
  );
});

/** Empty: refused; anything else that is thrown is a fault. */
function namesOrRefused(text: string): readonly { account: string; dnsName: string }[] {
  try {
    return readCaSettings({ ...cluster, SELVAGE_CA_SERVING_NAMES: text }).servingNames;
  } catch (error) {
    if (error instanceof SettingsError) return [];
    throw error;
  }
}

test('the address of health may leave the host out', () => {
  const { health } = readCaSettings({ ...cluster, SELVAGE_HEALTH: ':15021' });
  expect(health).toEqual({ host: '', port: 15_021 });
});
