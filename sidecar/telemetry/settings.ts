// The sidecar's own environment, which formats of telemetry may name.

/** Undefined where it is not set. */
export function environmentVariable(name: string): string | undefined {
  return process.env[name];
}
