// Which files of a folder hold resources: the CLI and control read the same ones.

/** By its name: YAML, and JSON as `kubectl get -o json` writes it. */
export function isResourceFile(name: string): boolean {
  return /\.(?:ya?ml|json)$/i.test(name);
}

/** JSON in a folder is mostly something else: package.json, a compiler's settings with comments in them, data. */
export function mayHoldResources(name: string, text: string): boolean {
  return !/\.json$/i.test(name) || /"apiVersion"\s*:/.test(text);
}
