// The audit: one JSON line for each certificate, written before the certificate leaves the CA.
import { closeSync, openSync, writeSync } from 'node:fs';

export interface AuditEntry {
  /** RFC 3339. */
  readonly time: string;
  readonly identity: string;
  /** The pod that the token was bound to; '' where it is not known. */
  readonly pod: string;
  readonly podUid: string;
  readonly serial: string;
  /** RFC 3339. */
  readonly notAfter: string;
  /** Address of the caller's connection. */
  readonly caller: string;
  /** SHA-256 of the SubjectPublicKeyInfo, hexadecimal. */
  readonly keyFingerprint: string;
  /** Of the issuer that signed. */
  readonly issuer: string;
}

export interface Audit {
  /** Throws when the line cannot be written. */
  write(entry: AuditEntry): void;
  /** Opens the file again, after it was moved away. */
  reopen(): void;
  close(): void;
}

/** Appends to a file that only its owner can read; '' writes to standard output. */
export function openAudit(file: string): Audit {
  if (file === '') return { write: (entry) => writeLine(1, entry), reopen() {}, close() {} };
  let descriptor = openSync(file, 'a', 0o600);
  return {
    write: (entry) => writeLine(descriptor, entry),
    reopen() {
      const fresh = openSync(file, 'a', 0o600);
      closeSync(descriptor);
      descriptor = fresh;
    },
    close: () => closeSync(descriptor),
  };
}

/** One call for one line: with O_APPEND, lines of several processes never mix. */
function writeLine(descriptor: number, entry: AuditEntry): void {
  const line = Buffer.from(`${JSON.stringify({ audit: 'certificate-issued', ...entry })}\n`);
  let written = 0;
  while (written < line.length) written += writeSync(descriptor, line, written);
}
