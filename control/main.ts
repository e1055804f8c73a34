// The process of control.
import { runProcess } from '#runtime/process.ts';

import { startControl } from './app.ts';
import { describeControlSettings, readControlSettings } from './settings.ts';

await runProcess({
  name: 'control',
  read: readControlSettings,
  describe: describeControlSettings,
  start: async (settings, log) => {
    const control = await startControl(settings, log);
    return {
      closers: [{ name: 'control', close: () => control.close() }],
      closeDeadlineMs: settings.drainTimeoutMs + 2000,
      ready: { port: control.port, adminPort: control.adminPort, healthPort: control.healthPort },
    };
  },
});
