// The web page of the mesh that this process runs.
import type { Dashboard } from '../dashboard/server.ts';
import type { Io } from '../io.ts';
import { openSidecars } from '../sidecars/open.ts';

/** null, and a word of it, where it cannot be served: the mesh runs all the same. */
export async function startOwnDashboard(io: Io): Promise<Dashboard | null> {
  try {
    // Loaded late: a mesh may run without.
    const { dashboardPorts, startDashboard } = await import('../dashboard/server.ts');
    const mesh = await openSidecars({ mesh: String(process.pid) }, io);
    return await startDashboard({ mesh, ports: dashboardPorts });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    io.stdout.write(`! the dashboard is not served: ${why}\n`);
    return null;
  }
}
