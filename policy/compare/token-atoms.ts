// Tokens that matter: none, and one for each combination of issuer, subject and audiences that rules tell apart.
import type { CompiledPolicies } from '../compile.ts';
import { presume } from '../jwt/presume.ts';
import { plainAudience } from '../jwt/rules.ts';
import type { Asked } from './asked.ts';
import { type Atom, type Carriage, draftOf, type Everyday, factsOf } from './draft.ts';
import { anyText } from './language.ts';
import { sampleTexts } from './samples.ts';
import { literal, type Shape } from './shape.ts';
import { unions } from './unions.ts';

/** So many tokens are looked at. */
const tokensMax = 20_000;

/** Of a token that is good but for its issuer and audience. @param asked conditions on `iss`, `sub` and `aud` */
export function tokenAtoms(
  sides: readonly CompiledPolicies[],
  asked: readonly Asked[],
  problems: string[],
): readonly Atom[] {
  const rules = sides.flatMap(({ tokens }) => tokens?.rules ?? []);
  const shapesOf = (claim: 'iss' | 'sub' | 'aud'): Shape[] =>
    asked.flatMap(({ subject }) => subject.token?.[claim] ?? []);
  const sample = (shapes: readonly Shape[]): string[] => {
    const { texts, complete } = sampleTexts(shapes, anyText);
    if (!complete) problems.push('the patterns of tokens are too many to be told apart');
    return [...texts];
  };
  const issuers = [...new Set(rules.map(({ issuer }) => issuer).filter((issuer) => issuer !== ''))];
  const issued = [
    ...issuers,
    ...sample([...shapesOf('iss'), ...issuers.map((one) => literal(one))]),
  ];
  const subjects = sample(shapesOf('sub')).toReversed();
  const lists = audiences(
    rules.flatMap((rule) => [...(rule.audiences ?? [])]),
    asked,
    sample(shapesOf('aud')),
    rules,
    problems,
  );
  const atoms: Atom[] = [{ claims: null }];
  for (const iss of new Set<string | undefined>([...issued, undefined])) {
    for (const sub of [...subjects, undefined]) {
      for (const aud of lists) {
        if (atoms.length >= tokensMax) {
          problems.push(`there are more than ${tokensMax} kinds of tokens`);
          return atoms;
        }
        const claims = {
          iss,
          sub,
          aud: aud.length === 0 ? undefined : aud.length === 1 ? aud[0] : aud,
        };
        atoms.push({ claims: JSON.parse(JSON.stringify(claims)) as Record<string, unknown> });
      }
    }
  }
  return atoms;
}

/** Whether a token is believed at a side, refused, or not looked at. */
export function tokenColumns(
  { tokens }: CompiledPolicies,
  atoms: readonly Atom[],
  everyday: Everyday,
): { readonly believed: Uint8Array; readonly refused: Uint8Array } {
  const believed = new Uint8Array(atoms.length);
  const refused = new Uint8Array(atoms.length);
  const bare = draftOf(everyday, carriage, []);
  const { request } = factsOf(bare);
  for (const [i, { claims }] of atoms.entries()) {
    if (claims === null || claims === undefined || tokens === null || request === null) continue;
    if (presume(tokens, request, claims).ok) believed[i] = 1;
    else refused[i] = 1;
  }
  return { believed, refused };
}

/** `https://foo/` and `foo` are one audience to a rule, and two to a condition. */
function audiences(
  named: readonly string[],
  asked: readonly Asked[],
  samples: readonly string[],
  rules: readonly { readonly audiences: ReadonlySet<string> | null }[],
  problems: string[],
): readonly (readonly string[])[] {
  const spelt = named.flatMap((one) => [
    one,
    `${one}/`,
    `http://${one}`,
    `https://${one}`,
    `https://${one}/`,
  ]);
  const ofConditions = asked
    .filter(({ subject }) => subject.token?.aud !== undefined)
    .map(({ condition, negative }) => (value: string) => {
      const { connection, request } = factsOf(
        draftOf(nobody, carriage, [{ claims: { aud: value } }]),
      );
      return (condition.holds?.(connection, request) ?? true) !== negative;
    });
  const ofRules = rules.map(
    (rule) => (value: string) => rule.audiences?.has(plainAudience(value)) ?? false,
  );
  return unions(
    [...new Set([...spelt, ...samples])],
    [...ofConditions, ...ofRules],
    'aud',
    problems,
  );
}

const nobody = { host: '', identity: '' };
const carriage: Carriage = { port: 1, mtls: true, kind: 'http' };
