// `selvage doctor`: what is wrong with the mesh of a cluster, and what to do about it.
import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import {
  clusterOptions,
  type ClusterValues,
  openCluster,
  type OpenCluster,
  runInCluster,
} from './cluster/cluster.ts';
import { checkCertificates } from './doctor/certificates.ts';
import type { Finding } from './doctor/finding.ts';
import { gatherState } from './doctor/gather.ts';
import { checkInstallation } from './doctor/installation.ts';
import { findingsJson, renderFindings } from './doctor/report.ts';
import { checkCrds, checkPolicies, checkStrict } from './doctor/resources.ts';
import { checkCapture, checkMissing, checkSync, checkVersions } from './doctor/sidecars.ts';
import type { ClusterState } from './doctor/state.ts';
import { checkWebhook } from './doctor/webhook.ts';
import type { Io } from './io.ts';

/** What is needed by what comes after it comes first. */
const checks: readonly ((state: ClusterState) => readonly Finding[])[] = [
  checkApi,
  checkInstallation,
  checkCrds,
  checkCertificates,
  checkWebhook,
  checkVersions,
  checkCapture,
  checkMissing,
  checkSync,
  checkPolicies,
  checkStrict,
];

/** Exit status 0: no problem; 1: problems; 2: wrong usage, or the cluster cannot be asked. */
export async function doctor(
  args: string[],
  io: Io,
  open: OpenCluster = openCluster,
): Promise<number> {
  return runInCluster(
    { name: 'doctor', io, open },
    () => readOptions(args),
    async (cluster, { output }) => {
      const findings = diagnose(await gatherState(cluster));
      const json = `${JSON.stringify(findingsJson(findings), null, 2)}\n`;
      io.stdout.write(output === 'json' ? json : renderFindings(findings, io.tty));
      return findings.some(({ level }) => level === 'problem') ? 1 : 0;
    },
  );
}

/** All findings, in the order of the checks. */
export function diagnose(state: ClusterState): Finding[] {
  return checks.flatMap((check) => check(state));
}

function checkApi({ server, apiVersion }: ClusterState): readonly Finding[] {
  const message = `Kubernetes ${apiVersion} at ${server}`;
  const [, minor] = /^v1\.(\d+)/.exec(apiVersion) ?? [];
  if (minor === undefined || Number(minor) >= 29) {
    return [{ check: 'api-server', level: 'ok', message }];
  }
  // Before 1.29 containers of a pod that start first and stop last are not on by default.
  const old = `${message}: Selvage needs 1.29 or newer, for native sidecars`;
  return [{ check: 'api-server', level: 'problem', message: old, mend: 'upgrade the cluster' }];
}

function readOptions(args: string[]): ClusterValues & { readonly output: 'text' | 'json' } {
  const { values, positionals } = readArguments(args, {
    ...clusterOptions,
    output: { type: 'string', short: 'o' },
  });
  if (positionals.length > 0) throw new CallError(`what is "${positionals[0]}"? give only options`);
  const { output = 'text', kubeconfig, context } = values;
  if (output !== 'text' && output !== 'json') {
    throw new CallError(`--output is text or json, not "${output}"`);
  }
  return { kubeconfig, context, output };
}
