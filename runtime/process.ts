// How every process begins: settings or all their mistakes at once, a log, the app, an orderly end.
import { createLog, type LogLevel, type ProcessLog } from './log.ts';
import { SettingsError } from './settings.ts';
import { closeOnSignal, endOnSignal, type Closer } from './shutdown.ts';

export interface ProcessOptions<Settings> {
  /** For logs and messages: `sidecar`. */
  readonly name: string;
  /** @throws SettingsError */
  read(): Settings;
  /** The same as text, without secrets, for the log at start. */
  describe(): Record<string, string>;
  start(settings: Settings, log: ProcessLog): Promise<Started>;
}

export interface Started {
  /** In the order in which they are closed; read when the signal comes. */
  readonly closers: readonly Closer[];
  /** For all closers together. */
  readonly closeDeadlineMs: number;
  /** Logged when the process is ready. */
  readonly ready: Readonly<Record<string, unknown>>;
}

/** Exit status 2: wrong settings; 1: it could not start. */
export async function runProcess<Settings extends { readonly logLevel: LogLevel }>(
  options: ProcessOptions<Settings>,
): Promise<void> {
  const settings = readOrExplain(options);
  if (settings === null) {
    process.exitCode = 2;
    return;
  }
  const log = createLog(options.name, settings.logLevel);
  log.info(options.describe(), 'starting');
  const whileStarting = endOnSignal(log);
  try {
    const { closers, closeDeadlineMs, ready } = await options.start(settings, log);
    whileStarting.stop();
    closeOnSignal(closers, { log, deadlineMs: closeDeadlineMs });
    // performance.now() counts from the start of the process.
    log.info({ ...ready, startupMs: Math.round(performance.now()) }, `${options.name} ready`);
  } catch (error) {
    log.error({ error }, `${options.name} cannot start`);
    // Part of it may listen already.
    process.exit(1);
  }
}

function readOrExplain<Settings>(options: ProcessOptions<Settings>): Settings | null {
  try {
    return options.read();
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`selvage ${options.name}: ${error.message}\n`);
    return null;
  }
}
