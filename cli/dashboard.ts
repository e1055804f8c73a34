// `selvage dashboard`: serves a web page of the mesh on loopback, read-only, until it is interrupted.
import { readArguments } from './arguments.ts';
import { CallError } from './calls/failure.ts';
import { dashboardPorts, startDashboard } from './dashboard/server.ts';
import type { Io } from './io.ts';
import { meshOptions, openSidecars, type OpenSidecars } from './sidecars/open.ts';
import { runWithSidecars } from './sidecars/run.ts';
import { onSignal } from './up/signals.ts';

/** Exit status 0: interrupted, as it ends; 2: wrong usage, or there is no mesh to ask. */
export async function dashboard(
  args: string[],
  io: Io,
  open: OpenSidecars = openSidecars,
  interruption: () => AbortSignal = onSignal,
): Promise<number> {
  return runWithSidecars(
    { name: 'dashboard', io, open },
    () => readOptions(args),
    async (mesh, { ports }) => {
      const interrupted = interruption();
      const served = await startDashboard({ mesh, ports });
      io.stdout.write(
        `${served.url}\nOnly whoever has this address can read it. Ctrl-C ends it.\n`,
      );
      await new Promise<unknown>((end) => {
        if (interrupted.aborted) end(null);
        interrupted.addEventListener('abort', end, { once: true });
      });
      await served.close();
      return 0;
    },
  );
}

function readOptions(args: string[]) {
  const { values, positionals } = readArguments(args, { ...meshOptions, port: { type: 'string' } });
  if (positionals.length > 0) throw new CallError(`there is no argument ${positionals[0]}`);
  const { port, ...mesh } = values;
  if (port === undefined) return { ...mesh, ports: dashboardPorts };
  if (!/^\d+$/.test(port) || Number(port) > 65_535) {
    throw new CallError(`--port is a number from 0 to 65535, not "${port}"`);
  }
  return { ...mesh, ports: [Number(port)] };
}
