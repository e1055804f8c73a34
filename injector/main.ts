// The process of the injector.
import { runProcess } from '#runtime/process.ts';

import { startInjector } from './app.ts';
import { describeInjectorSettings, readInjectorSettings } from './settings.ts';

await runProcess({
  name: 'injector',
  read: readInjectorSettings,
  describe: describeInjectorSettings,
  start: async (settings, log) => {
    const injector = await startInjector(settings, log);
    const { port, adminPort, healthPort } = injector;
    return {
      closers: [{ name: 'injector', close: () => injector.close() }],
      closeDeadlineMs: settings.drainTimeoutMs + 2000,
      ready: { port, adminPort, healthPort },
    };
  },
});
