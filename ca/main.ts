// The process of the CA.
import { runProcess } from '#runtime/process.ts';

import { startCa } from './app.ts';
import { describeCaSettings, readCaSettings } from './settings.ts';

await runProcess({
  name: 'ca',
  read: readCaSettings,
  describe: describeCaSettings,
  start: async (settings, log) => {
    const ca = await startCa(settings, log);
    process.on('SIGHUP', () => {
      ca.reload().catch((error: unknown) => {
        log.error({ error }, 'not reloaded; everything stays as it was');
      });
    });
    return {
      closers: [{ name: 'certificate authority', close: () => ca.close() }],
      closeDeadlineMs: settings.drainTimeoutMs + 2000,
      ready: { port: ca.port, adminPort: ca.adminPort, healthPort: ca.healthPort },
    };
  },
});
