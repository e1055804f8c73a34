// An issuer that the operator brings: PEM, encrypted PEM or PKCS#12 in files.
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { assembleIssuer, splitPem, type Issuer } from './issuer.ts';

export interface PluggedFiles {
  /** PEM: the issuer's certificate, then those up to the root. */
  readonly certFile: string;
  /** PEM, encrypted or not. */
  readonly keyFile: string;
  /** PEM of the root where `certFile` has it not, as Istio's root-cert.pem. */
  readonly rootFile: string;
  /** PKCS#12 instead of `certFile` and `keyFile`. */
  readonly p12File: string;
  readonly passwordFile: string;
}

/** Whether the operator brings an issuer at all. */
export function isPlugged(files: PluggedFiles): boolean {
  return files.certFile !== '' || files.keyFile !== '' || files.p12File !== '';
}

/** Reads and checks the issuer. Rejects with a message that names the file. */
export async function readPluggedIssuer(files: PluggedFiles): Promise<Issuer> {
  const { certFile, keyFile, p12File, rootFile, passwordFile } = files;
  const named = p12File === '' ? `${certFile} and ${keyFile}` : p12File;
  try {
    const password = passwordFile === '' ? '' : await readPassword(passwordFile);
    const root = rootFile === '' ? [] : splitPem(await readFile(rootFile, 'utf8'));
    if (p12File !== '') {
      // node-forge costs memory and time that only this operator pays.
      const { readPkcs12 } = await import('./forge.ts');
      const { keyPem, certificatePems } = readPkcs12(await readFile(p12File), password);
      return assembleIssuer(keyPem, [...certificatePems, ...root]);
    }
    if (certFile === '' || keyFile === '') {
      throw new Error('a certificate file and a key file belong together: give both');
    }
    const certificates = splitPem(await readFile(certFile, 'utf8'));
    const keyPem = await openKey(await readFile(keyFile, 'utf8'), password);
    return assembleIssuer(keyPem, [...certificates, ...root]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`the issuer in ${named} cannot be used: ${reason}`, { cause: error });
  }
}

/** OpenSSL opens what it still supports; forge the old ciphers that corporate tools still write. */
async function openKey(pem: string, password: string): Promise<string> {
  if (!pem.includes('ENCRYPTED')) return pem;
  if (password === '') throw new Error('the key is encrypted: give the password file');
  try {
    const key = createPrivateKey({ key: pem, passphrase: password });
    return key.export({ type: 'pkcs8', format: 'pem' });
  } catch (error) {
    if (!pem.includes('BEGIN ENCRYPTED PRIVATE KEY')) throw error;
    const { decryptKey } = await import('./forge.ts');
    return decryptKey(pem, password);
  }
}

/** A line end at the end belongs to the editor, not to the password. */
async function readPassword(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
}
