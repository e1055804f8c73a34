// Rules and limits that several kinds share: selectors, targets, CEL rules.
export interface CelRule {
  readonly rule: string;
  readonly message: string;
}

// The API server bounds the cost of rules by these lengths; resources in use are far below them.
export const label = { maxLength: 63 };
export const targetsMax = 16;

export function rules(...list: readonly CelRule[]): {
  'x-kubernetes-validations': readonly CelRule[];
} {
  return { 'x-kubernetes-validations': list };
}

export const oneAttachment: CelRule = {
  rule: '(has(self.selector)?1:0)+(has(self.targetRef)?1:0)+(has(self.targetRefs)&&self.targetRefs.size()>0?1:0)<=1',
  message: 'only one of selector and targetRefs may be set',
};

export const selector: readonly (readonly [string, Record<string, unknown>])[] = [
  [
    'selector.matchLabels',
    {
      maxProperties: 4096,
      ...rules(
        {
          rule: "self.all(key, key != '')",
          message: 'a label of a selector has no name',
        },
        {
          rule: "self.all(key, !key.contains('*'))",
          message: 'selectors know no wildcards: write whole labels',
        },
      ),
    },
  ],
  [
    'selector.matchLabels{}',
    {
      ...label,
      ...rules({
        rule: "!self.contains('*')",
        message: 'selectors know no wildcards: write whole labels',
      }),
    },
  ],
];

export const noNamespace = rules({
  rule: "self == ''",
  message: 'a targetRef may not name a namespace',
});

export function target(path: string): [string, Record<string, unknown>][] {
  return [
    [`${path}.group`, { maxLength: 253, pattern: '^$|^[-.a-z0-9]+$' }],
    [`${path}.kind`, { minLength: 1, maxLength: 63, pattern: '^[a-zA-Z][-a-zA-Z0-9]*$' }],
    [`${path}.name`, { minLength: 1, maxLength: 253 }],
    [`${path}.namespace`, { maxLength: 253, ...noNamespace }],
  ];
}

export const targets = [
  ...target('targetRef'),
  ['targetRefs', { maxItems: targetsMax }] as const,
  ...target('targetRefs[]'),
];

export const host = { minLength: 1, maxLength: 255 };
