// The process of the sidecar.
import { runProcess } from '#runtime/process.ts';

import { startSidecar } from './app.ts';
import { closeGraceMs } from './data-plane.ts';
import { describeSidecarSettings, readSidecarSettings } from './settings.ts';

await runProcess({
  name: 'sidecar',
  read: readSidecarSettings,
  describe: describeSidecarSettings,
  start: async (settings, log) => {
    const { closers, ...ports } = await startSidecar(settings, log);
    const closeDeadlineMs = settings.drainTimeoutMs + closeGraceMs;
    return { closers, closeDeadlineMs, ready: ports };
  },
});
