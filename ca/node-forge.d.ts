// The parts of node-forge that forge.ts uses; the package brings no types.
declare module 'node-forge' {
  interface Asn1 {
    readonly tagClass: number;
  }
  interface Bag {
    /** The decrypted PKCS#8 or the certificate, when forge itself does not know its kind of key. */
    readonly asn1?: Asn1;
    readonly key?: unknown;
    readonly cert?: unknown;
  }
  interface Pkcs12 {
    getBags(filter: { bagType: string }): Record<string, Bag[] | undefined>;
  }
  interface Forge {
    readonly asn1: {
      fromDer(bytes: string): Asn1;
      toDer(value: Asn1): { getBytes(): string };
    };
    readonly pkcs12: { pkcs12FromAsn1(value: Asn1, strict: boolean, password: string): Pkcs12 };
    readonly pki: {
      readonly oids: Readonly<Record<string, string>>;
      decryptPrivateKeyInfo(value: Asn1, password: string): Asn1 | null;
      privateKeyToAsn1(key: unknown): Asn1;
      wrapRsaPrivateKey(key: Asn1): Asn1;
      certificateToAsn1(certificate: unknown): Asn1;
    };
  }
  const forge: Forge;
  export = forge;
}
