import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { doctor } from '#cli/doctor.ts';
import type { Finding } from '#cli/doctor/finding.ts';
import { status } from '#cli/status.ts';
import { testIo } from '#test/cli/output.ts';

import {
  eventually,
  type InjectorInTest,
  noCluster,
  startInjectorInTest,
} from './injector-in-test.ts';

const mutating = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';

interface Configuration {
  readonly webhooks: readonly { readonly clientConfig: { readonly url: string } }[];
}

describe.skipIf(noCluster)('the doctor and a real webhook', () => {
  let cluster: InjectorInTest;
  let isOpen = true;

  beforeAll(async () => {
    cluster = await startInjectorInTest();
  });
  afterAll(async () => {
    if (isOpen) await cluster.close();
  });

  test('an injector that answers gives the pod of a dry run its sidecar', async () => {
    expect(await findings('injection')).toMatchObject([
      { level: 'ok', message: expect.stringContaining('gets one (dry run in default)') },
    ]);
    const names = (await findings('webhook')).map(({ message }) => message);
    expect(names).toEqual(
      expect.arrayContaining([
        expect.stringContaining(`MutatingWebhookConfiguration ${cluster.name}`),
      ]),
    );
  });

  test('one that is away is told in the words of the API server', async () => {
    const configuration = `${mutating}/${cluster.name}`;
    const { webhooks } = await cluster.client.get<Configuration>(configuration);
    const away = webhooks.map(({ clientConfig }, i) => ({
      op: 'replace',
      path: `/webhooks/${i}/clientConfig/url`,
      value: clientConfig.url.replace(/:\d+\//, ':9/'),
    }));
    await cluster.client.patch(configuration, away, 'json');
    // The API server goes by the old address for a second.
    const found = await eventually(async () => {
      const [told] = await findings('injection');
      expect(told?.level).toBe('problem');
      return told;
    });
    expect(found).toMatchObject({
      message: expect.stringMatching(
        /refused in default: .*failed calling webhook.*connection refused/,
      ),
      mend: expect.stringContaining('kubectl logs'),
    });
  });

  test('without any webhook the doctor says so once', async () => {
    await cluster.close();
    isOpen = false;
    const [first] = await findings('webhook');
    const installed = first?.level === 'ok';
    expect(await findings('injection')).toHaveLength(installed ? 1 : 0);
    expect(await status([], testIo())).toBeLessThan(3);
  });
});

async function findings(check: string): Promise<Finding[]> {
  const io = testIo();
  await doctor(['--output', 'json'], io);
  const told = JSON.parse(io.out()) as { findings: Finding[] };
  return told.findings.filter((one) => one.check === check);
}
