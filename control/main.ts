// The process of control: settings, app, signals.
import { createLog } from '#runtime/log.ts';
import { describeSettings, readSettings, SettingsError } from '#runtime/settings.ts';
import { closeOnSignal } from '#runtime/shutdown.ts';
import { startControl } from './app.ts';
import { controlFields, type ControlSettings } from './settings.ts';

await main();

async function main(): Promise<void> {
  const settings = readOrExplain();
  if (settings === null) {
    process.exitCode = 2;
    return;
  }
  const log = createLog('control', settings.logLevel);
  log.info(describeSettings(controlFields, process.env), 'starting');
  try {
    const control = await startControl(settings, log);
    closeOnSignal([{ name: 'control', close: () => control.close() }], {
      log,
      deadlineMs: settings.drainTimeoutMs + 2000,
    });
  } catch (error) {
    log.error({ error }, 'control cannot start');
    // Part of it may listen already.
    process.exit(1);
  }
}

function readOrExplain(): ControlSettings | null {
  try {
    return readSettings(controlFields, process.env);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`selvage control: ${error.message}\n`);
    return null;
  }
}
