// Tells other commands of a mesh that runs: where it is and which sidecars it has, as they come and go.
import { type Announcement, AnnouncementFile } from '../sidecars/announcement.ts';
import type { LocalPod } from './plan.ts';

export class ToldMesh {
  readonly #file: AnnouncementFile;
  readonly #mesh: Omit<Announcement, 'sidecars'>;

  readonly #note: (text: string) => void;

  /**
   * @param folder where meshes are told of
   * @param note tells its user what is amiss
   */
  constructor(
    folder: string,
    mesh: Omit<Announcement, 'sidecars' | 'pid' | 'startedAtMs'>,
    note: (text: string) => void,
  ) {
    this.#note = note;
    this.#file = new AnnouncementFile(folder, `${mesh.controlAdmin}`);
    const { folder: source, shown, controlAdmin, caAdmin } = mesh;
    const { pid } = process;
    const startedAtMs = Date.now();
    this.#mesh = { pid, startedAtMs, folder: source, shown, controlAdmin, caAdmin };
  }

  /** Of its file. */
  get path(): string {
    return this.#file.path;
  }

  /** Where that fails the mesh runs all the same. */
  async tell(pods: readonly LocalPod[]): Promise<void> {
    const sidecars = pods.flatMap(({ namespace, workload, name, sidecar }) =>
      sidecar === null ? [] : [{ namespace, workload, pod: name, admin: sidecar.admin }],
    );
    try {
      await this.#file.write({ ...this.#mesh, sidecars });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#note(`other commands do not find this mesh: ${why}`);
    }
  }

  async end(): Promise<void> {
    await this.#file.remove();
  }
}
