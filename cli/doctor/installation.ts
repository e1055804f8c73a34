// Whether the parts of the mesh are there and run, two of each.
import { systemNamespace } from '#api/injection/names.ts';

import type { LivePod } from '../cluster/pods.ts';
import { type Finding, whenKnown } from './finding.ts';
import type { ClusterState, SystemDeployment } from './state.ts';

const check = 'installation';

/** The Deployments of an installation. */
export const systemDeployments = ['selvage-ca', 'selvage-control', 'selvage-injector'] as const;

export function checkInstallation(state: ClusterState): readonly Finding[] {
  return whenKnown(check, state.deployments, (deployments) => {
    const found = new Map(deployments.map((one) => [one.name, one]));
    if (!systemDeployments.some((name) => found.has(name))) {
      const message = `Selvage is not installed: ${systemNamespace} has none of its Deployments`;
      return [{ check, level: 'problem', message, mend: 'selvage install | kubectl apply -f -' }];
    }
    const pods = 'value' in state.systemPods ? state.systemPods.value : [];
    return systemDeployments.map((name) => {
      const deployment = found.get(name);
      if (deployment !== undefined) return checkDeployment(deployment, pods);
      const message = `${name} is missing in ${systemNamespace}`;
      return { check, level: 'problem', message, mend: 'selvage install | kubectl apply -f -' };
    });
  });
}

function checkDeployment(deployment: SystemDeployment, pods: readonly LivePod[]): Finding {
  const { name, wanted, ready } = deployment;
  const message = `${name} has ${ready} of ${wanted} replicas ready`;
  if (ready === 0) {
    const mend = `kubectl logs -n ${systemNamespace} deployment/${name}`;
    return { check, level: 'problem', message: `${message}${troubleOf(name, pods)}`, mend };
  }
  if (ready < wanted) {
    const mend = `kubectl get pods -n ${systemNamespace}`;
    return { check, level: 'warning', message: `${message}${troubleOf(name, pods)}`, mend };
  }
  if (wanted < 2) {
    const mend = `kubectl scale -n ${systemNamespace} deployment/${name} --replicas=2`;
    return { check, level: 'warning', message: `${message}: its node is all it takes`, mend };
  }
  return { check, level: 'ok', message };
}

/** `: selvage-ca-1: CrashLoopBackOff`; '' where nothing is known. */
function troubleOf(deployment: string, pods: readonly LivePod[]): string {
  const states = pods
    .filter(({ workload }) => workload.name === deployment)
    .flatMap(({ name, states }) => states.map((one) => ({ pod: name, ...one })));
  const bad = states.find(({ trouble }) => trouble !== '');
  return bad === undefined ? '' : `: ${bad.pod}: ${bad.trouble} ${bad.message}`.trimEnd();
}
