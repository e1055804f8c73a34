// Replays through real sidecars: every recorded call over real sockets with real mutual TLS, one process a workload.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startApplication } from './application.ts';
import { startAuthorizer } from './authorizer-server.ts';
import { createCertificates } from './certificates.ts';
import type { Runner } from './compare.ts';
import type { ReplayCase } from './format.ts';
import { destinationOf, Lane } from './lane.ts';

export interface SidecarReplay {
  readonly run: Runner;
  close(): Promise<void>;
}

/**
 * Starts what the cases need. A sidecar starts with the first case of its workload.
 * @param complain told what sidecars say of faults, a line each
 */
export async function throughSidecar(
  cases: readonly ReplayCase[],
  complain: (text: string) => void,
): Promise<SidecarReplay> {
  const certificates = await createCertificates();
  const [application, authorizer] = await Promise.all([startApplication(), startAuthorizer()]);
  const folder = await mkdtemp(join(tmpdir(), 'selvage-replay-'));
  const calls = cases.flatMap((one) => one.requests);
  const substitutes = new Map<string, number>();
  const surroundings = {
    certificates,
    applicationPort: application.port,
    authorizerPort: authorizer.port,
    destinations: [...new Set(calls.map(destinationOf))],
    complain,
    substituted: (wanted: string, used: string) => {
      const what = `from ${used}, as this system cannot send from ${wanted}`;
      substitutes.set(what, (substitutes.get(what) ?? 0) + 1);
    },
  };
  const lanes = new Map<string, Lane>();
  return {
    run: (c) => {
      const { namespace, name, serviceAccount } = c.workload;
      const key = `${namespace}/${name}/${serviceAccount}`;
      const lane = lanes.get(key) ?? new Lane(surroundings, c, join(folder, `${lanes.size}`));
      lanes.set(key, lane);
      return lane.run(c);
    },
    close: async () => {
      for (const [what, count] of substitutes) {
        complain(`${count} calls went ${what}; they were compared with the evaluator`);
      }
      await Promise.all([...lanes.values()].map((lane) => lane.close()));
      application.close();
      authorizer.close();
      await rm(folder, { recursive: true });
    },
  };
}
