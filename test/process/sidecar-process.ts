// A real sidecar process from files: started, read until it is ready, and ended by its own pid.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { Snapshot } from '#api/snapshot.ts';
import { sidecarNodeFlags } from '#api/node-flags.ts';

const root = join(import.meta.dirname, '../..');

export interface ReadyLine {
  readonly inboundPorts: number[];
  readonly outboundPort: number;
  readonly mappedPorts: number[];
  readonly adminPort: number;
  readonly startupMs: number;
}

export interface ProcessFiles {
  readonly snapshot: Snapshot;
  readonly certPem: string;
  readonly keyPem: string;
  readonly trustBundlePem: string;
}

export class SidecarProcess {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly lines: Record<string, unknown>[] = [];
  errors = '';
  ready: ReadyLine = {
    inboundPorts: [],
    outboundPort: 0,
    mappedPorts: [],
    adminPort: 0,
    startupMs: 0,
  };
  readonly exited: Promise<number | null>;

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.child = child;
    this.exited = once(child, 'close').then(([status]) => status as number | null);
  }

  /**
   * Starts `node sidecar/main.ts`; what `env` gives wins. Resolves when it is ready or gone.
   * @param prefix a program that runs it, elsewhere or as somebody else
   */
  static async start(
    files: ProcessFiles,
    application: number,
    env: Record<string, string> = {},
    prefix: readonly string[] = [],
  ): Promise<SidecarProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'selvage-sidecar-'));
    await writeProcessFiles(folder, files);
    const [program, ...args] = [
      ...prefix,
      process.execPath,
      ...sidecarNodeFlags,
      'sidecar/main.ts',
    ];
    if (prefix.includes('setpriv')) await giveTo(folder, proxyId);
    const child = spawn(program, args, {
      cwd: root,
      env: {
        PATH: process.env['PATH'],
        SELVAGE_NAMESPACE: files.snapshot.workload.namespace,
        SELVAGE_WORKLOAD: files.snapshot.workload.name,
        SELVAGE_TRUST_BUNDLE_FILE: join(folder, 'roots.pem'),
        SELVAGE_SNAPSHOT_FILE: join(folder, 'snapshot.json'),
        SELVAGE_CERT_FILE: join(folder, 'cert.pem'),
        SELVAGE_KEY_FILE: join(folder, 'key.pem'),
        SELVAGE_INBOUND: `127.0.0.1:0=8080>127.0.0.1:${application}`,
        SELVAGE_OUTBOUND: '127.0.0.1:0',
        SELVAGE_ADMIN: '127.0.0.1:0',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const sidecar = new SidecarProcess(folder, child);
    await sidecar.#untilReady();
    return sidecar;
  }

  /** Resolves with the exit status. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    return this.exited;
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }

  async admin(path: string): Promise<{ status: number; body: string }> {
    const response = await fetch(`http://127.0.0.1:${this.ready.adminPort}${path}`);
    return { status: response.status, body: await response.text() };
  }

  /** The first line with this message, waited for. */
  async line(message: string): Promise<Record<string, unknown>> {
    for (let i = 0; i < 500; i += 1) {
      const found = this.lines.find((line) => line['msg'] === message);
      if (found !== undefined) return found;
      await new Promise((done) => setTimeout(done, 20));
    }
    throw new Error(`"${message}" was never logged: ${JSON.stringify(this.lines)} ${this.errors}`);
  }

  async #untilReady(): Promise<void> {
    const { stdout, stderr } = this.child;
    stderr?.on('data', (bytes: Buffer) => (this.errors += String(bytes)));
    if (stdout === null) throw new Error('no output to read');
    createInterface({ input: stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.lines.push(JSON.parse(line) as Record<string, unknown>);
    });
    const ready = await Promise.race([this.line('sidecar ready'), this.exited]);
    if (typeof ready !== 'object' || ready === null) return;
    this.ready = ready as unknown as ReadyLine;
  }
}

/** The user and group that the rules of capture leave alone. */
export const proxyId = 1337;

async function giveTo(folder: string, id: number): Promise<void> {
  const names = await readdir(folder);
  await Promise.all(
    [folder, ...names.map((name) => join(folder, name))].map((path) => chown(path, id, id)),
  );
}

export async function writeProcessFiles(folder: string, files: ProcessFiles): Promise<void> {
  await Promise.all([
    writeFile(join(folder, 'snapshot.json'), JSON.stringify(files.snapshot)),
    writeFile(join(folder, 'cert.pem'), files.certPem),
    writeFile(join(folder, 'key.pem'), files.keyPem, { mode: 0o600 }),
    writeFile(join(folder, 'roots.pem'), files.trustBundlePem),
  ]);
}
