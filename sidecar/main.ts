// The process of the sidecar.
import { runProcess } from '#runtime/process.ts';

import { closeGraceMs, startSidecar } from './app.ts';
import { describeSidecarSettings, readSidecarSettings } from './settings.ts';

await runProcess({
  name: 'sidecar',
  read: readSidecarSettings,
  describe: describeSidecarSettings,
  start: async (settings, log) => {
    const { inboundPorts, outboundPort, adminPort, closers } = await startSidecar(settings, log);
    const closeDeadlineMs = settings.drainTimeoutMs + closeGraceMs;
    return { closers, closeDeadlineMs, ready: { inboundPorts, outboundPort, adminPort } };
  },
});
