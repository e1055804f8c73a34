// Runs the body of a command that asks sidecars: which mesh it is about, and in one line why it could not be done.
import { describeFailure, isDefect } from '../cluster/cluster.ts';
import type { Io } from '../io.ts';
import type { MeshValues, OpenSidecars } from './open.ts';
import type { Sidecars } from './source.ts';

export interface SidecarCommand {
  /** For messages. */
  readonly name: string;
  readonly io: Io;
  readonly open: OpenSidecars;
}

/**
 * Exit status 2 for what could not be done. Which mesh is asked goes to stderr, so that stdout is for other programs too.
 * @param read the arguments, once; throws CallError for what is wrong with them
 */
export async function runWithSidecars<Options extends MeshValues>(
  { name, io, open }: SidecarCommand,
  read: () => Options,
  body: (sidecars: Sidecars, options: Options) => Promise<number>,
): Promise<number> {
  let sidecars: Sidecars | null = null;
  try {
    const options = read();
    sidecars = await open(options, io);
    io.stderr.write(`asking ${sidecars.title}\n`);
    return await body(sidecars, options);
  } catch (error) {
    if (!(error instanceof Error) || isDefect(error)) throw error;
    io.stderr.write(`selvage ${name}: ${describeFailure(error)}\n`);
    return 2;
  } finally {
    await sidecars?.close();
  }
}
