// Objects as YAML text, in the form that kubectl prints.
import { stringify } from 'yaml';

/** Documents of a stream; without anchors, as people read them. */
export function writeYaml(objects: readonly object[]): string {
  const options = { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false } as const;
  return objects.map((object) => stringify(object, options)).join('---\n');
}
