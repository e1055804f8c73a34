// The error of a sidecar that cannot be replayed through: it does not start, ends, or refuses a snapshot.

export class SidecarUnusable extends Error {
  override readonly name = 'SidecarUnusable';

  constructor(reason: string) {
    super(`the sidecar cannot be used: ${reason}`);
  }
}
