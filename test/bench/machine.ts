// The machine and the programs of a run, described so that results can be compared; it names no host.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';

/** Lines of Markdown. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const isVirtual = /^flags\s*:.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));
  const { node, v8, openssl } = process.versions;
  return [
    `- CPU: ${cpu?.model.trim()}, ${cpus().length} cores${isVirtual ? ', virtual machine' : ''}`,
    `- memory: ${(totalmem() / 1024 ** 3).toFixed(0)} GB`,
    `- kernel: ${type()} ${release()}`,
    `- Node ${node} (V8 ${v8}, OpenSSL ${openssl})`,
    ...versions().map((version) => `- ${version}`),
    `- ${new Date().toISOString().slice(0, 10)}`,
  ].join('\n');
}

function versions(): string[] {
  return [
    ['Envoy', 'envoy --version', /version: \w+\/([^/]+)\//],
    ['HAProxy', 'haproxy -v', /version (\S+)/],
    ['nginx', 'nginx -v 2>&1', /nginx\/(\S+)/],
  ].flatMap(([name, command, pattern]) => {
    try {
      const text = execFileSync('sh', ['-c', String(command)], { encoding: 'utf8' });
      return [
        `${String(name)} ${new RegExp(pattern ?? '').exec(text)?.[1] ?? '(unknown version)'}`,
      ];
    } catch {
      return [];
    }
  });
}
