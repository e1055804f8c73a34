import { afterEach, expect, test, vi } from 'vitest';

import { readControlSettings } from '#control/settings.ts';

afterEach(() => vi.unstubAllEnvs());

function read(env: Readonly<Record<string, string>>): ReturnType<typeof readControlSettings> {
  const usual = {
    SELVAGE_CA: 'https://ca',
    SELVAGE_TOKEN_FILE: '/token',
    SELVAGE_TRUST_BUNDLE_FILE: '/bundle',
    SELVAGE_RESOURCES: '',
    SELVAGE_KUBERNETES: '',
    KUBERNETES_SERVICE_HOST: '',
  };
  for (const [name, value] of Object.entries({ ...usual, ...env })) vi.stubEnv(name, value);
  return readControlSettings();
}

function healthAt(text: string): unknown {
  return read({ SELVAGE_RESOURCES: '/a', SELVAGE_HEALTH: text }).health;
}

test('the API server is the one of the pod, or named, and folders may stand beside it', () => {
  const pod = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '6443' };
  const inCluster = read({ SELVAGE_KUBERNETES: 'in-cluster', ...pod });
  expect(inCluster.kubernetes?.href).toBe('https://10.96.0.1:6443/');
  const six = { ...pod, KUBERNETES_SERVICE_HOST: 'fd00::1' };
  expect(read({ SELVAGE_KUBERNETES: 'in-cluster', ...six }).kubernetes?.host).toBe(
    '[fd00::1]:6443',
  );
  const both = read({ SELVAGE_KUBERNETES: 'https://api:6443', SELVAGE_RESOURCES: '/a:/b' });
  expect(both.kubernetes?.host).toBe('api:6443');
  expect(both.resources).toEqual(['/a', '/b']);
  expect(read({ SELVAGE_RESOURCES: '/a' }).kubernetes).toBeNull();
});

test('no folder and no cluster, or a cluster that is not there, is a mistake among the others', () => {
  expect(() => read({ SELVAGE_CA: 'http://ca' })).toThrow(/SELVAGE_KUBERNETES(.|\n)*SELVAGE_CA/);
  expect(() => read({ SELVAGE_KUBERNETES: 'in-cluster' })).toThrow(/KUBERNETES_SERVICE_HOST/);
  expect(() => read({ SELVAGE_KUBERNETES: 'http://api' })).toThrow(/https/);
});

test('health is told where the kubelet asks, on all addresses where only a port is given', () => {
  expect(healthAt(':15021')).toEqual({ host: '', port: 15021 });
  expect(healthAt('10.0.0.1:15021')).toEqual({ host: '10.0.0.1', port: 15021 });
  expect(healthAt('')).toBeNull();
});
