// Reads the setting that names the API server: a URL, or `in-cluster` for the one of the pod's own cluster.
import { url } from '../setting-types.ts';
import { Wanted } from '../settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** @param environment where the kubelet says what `in-cluster` is; read when the setting is */
export function apiServer(environment: Environment): (text: string) => URL {
  return (text) => {
    if (text !== 'in-cluster') return url('https')(text);
    const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
    const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
    const parsed = URL.parse(`https://${host.includes(':') ? `[${host}]` : host}:${port}`);
    if (host === '' || parsed === null) {
      throw new Wanted(
        'a URL outside of a pod: KUBERNETES_SERVICE_HOST, which every pod has, is not set',
      );
    }
    return parsed;
  };
}
