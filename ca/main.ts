// The process of the CA: settings, app, signals.
import { createLog } from '#runtime/log.ts';
import { SettingsError } from '#runtime/settings.ts';
import { closeOnSignal } from '#runtime/shutdown.ts';
import { startCa } from './app.ts';
import { describeCaSettings, readCaSettings, type CaSettings } from './settings.ts';

await main();

async function main(): Promise<void> {
  const settings = readOrExplain();
  if (settings === null) {
    process.exitCode = 2;
    return;
  }
  const log = createLog('ca', settings.logLevel);
  log.info(describeCaSettings(), 'starting');
  try {
    const ca = await startCa(settings, log);
    closeOnSignal([{ name: 'certificate authority', close: () => ca.close() }], {
      log,
      deadlineMs: settings.drainTimeoutMs + 2000,
    });
    process.on('SIGHUP', () => {
      ca.reload().catch((error: unknown) => {
        log.error({ error }, 'not reloaded; everything stays as it was');
      });
    });
  } catch (error) {
    log.error({ error }, 'the certificate authority cannot start');
    // Part of it may listen already.
    process.exit(1);
  }
}

function readOrExplain(): CaSettings | null {
  try {
    return readCaSettings();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`selvage ca: ${error.message}\n`);
    return null;
  }
}
