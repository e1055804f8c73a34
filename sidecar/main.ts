// The process of the sidecar: settings, app, signals.
import { createLog } from '#runtime/log.ts';
import { SettingsError } from '#runtime/settings.ts';
import { closeOnSignal } from '#runtime/shutdown.ts';

import { closeGraceMs, startSidecar } from './app.ts';
import { describeSidecarSettings, readSidecarSettings, type SidecarSettings } from './settings.ts';

await main();

async function main(): Promise<void> {
  const settings = readOrExplain();
  if (settings === null) {
    process.exitCode = 2;
    return;
  }
  const log = createLog('sidecar', settings.logLevel);
  log.info(describeSidecarSettings(), 'starting');
  try {
    const { inboundPorts, outboundPort, adminPort, closers } = await startSidecar(settings, log);
    const deadlineMs = settings.drainTimeoutMs + closeGraceMs;
    closeOnSignal(closers, { log, deadlineMs });
    // performance.now() counts from the start of the process.
    const startupMs = Math.round(performance.now());
    log.info({ inboundPorts, outboundPort, adminPort, startupMs }, 'sidecar ready');
  } catch (error) {
    log.error({ error }, 'the sidecar cannot start');
    // Part of it may listen already.
    process.exit(1);
  }
}

function readOrExplain(): SidecarSettings | null {
  try {
    return readSidecarSettings();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`selvage sidecar: ${error.message}\n`);
    return null;
  }
}
