import 'reflect-metadata'
import { randomBytes, webcrypto, X509Certificate as NodeCertificate, createPrivateKey } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'

/** What a server certificate is made out for, and for how long. */
export interface CertificateRequest {
  /** DNS names, at least one; a wildcard (`*.hcp1.test`) covers exactly one label (RFC 6125, 6.4.3). */
  readonly names: readonly string[]
  /** IP addresses the certificate also holds for. Default: none. */
  readonly addresses?: readonly string[]
  /** Start of validity. Default: an hour ago, so that clocks may differ. */
  readonly notBefore?: Date
  /** End of validity. Default: a year after the start (some clients refuse more than 398 days). */
  readonly notAfter?: Date
}

/** A certificate and its private key, both PEM. */
export interface IssuedCertificate {
  readonly certificate: string
  readonly key: string
}

/** A certificate authority: clients that trust `certificate` trust everything it issues. */
export interface CertificateAuthority {
  /** The authority's own certificate, PEM. */
  readonly certificate: string
  /** Makes a key pair and a server certificate for it, signed by this authority. */
  issue(request: CertificateRequest): Promise<IssuedCertificate>
}

const curve = { name: 'ECDSA', namedCurve: 'P-256' }
const signing = { name: 'ECDSA', hash: 'SHA-256' }
const hour = 3_600_000
const day = 24 * hour

const authorityLifetime = 20 * 365 * day
const certificateLifetime = 365 * day
/** A kept authority that ends within this time is made anew. */
const renewalMargin = 30 * day

/** Makes a new authority (ECDSA P-256), kept in memory only. */
export async function createAuthority(commonName: string): Promise<CertificateAuthority> {
  const { certificate, key } = await makeAuthority(commonName)
  return authorityOf(certificate, key)
}

/**
 * Opens the authority kept in `directory` as `ca.pem` and `ca-key.pem` (readable by its owner only), or makes it there
 * if there is none, if its time is nearly over or if the two files do not belong together.
 */
export async function loadAuthority(directory: string, commonName: string): Promise<CertificateAuthority> {
  const certificateFile = join(directory, 'ca.pem')
  const keyFile = join(directory, 'ca-key.pem')
  const kept = await readPair(certificateFile, keyFile)
  if (kept) return authorityOf(kept.certificate, kept.key)
  const { certificate, key } = await makeAuthority(commonName)
  await mkdir(directory, { recursive: true })
  await replaceFile(keyFile, key, 0o600)
  await replaceFile(certificateFile, certificate, 0o644)
  return authorityOf(certificate, key)
}

async function makeAuthority(commonName: string): Promise<IssuedCertificate> {
  const keys = await webcrypto.subtle.generateKey(curve, true, ['sign', 'verify'])
  const notBefore = new Date(Date.now() - hour)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    notBefore,
    notAfter: new Date(notBefore.getTime() + authorityLifetime),
    keys,
    signingAlgorithm: signing,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: pem(certificate), key: await exportKey(keys.privateKey) }
}

async function authorityOf(certificate: string, key: string): Promise<CertificateAuthority> {
  const issuer = new x509.X509Certificate(certificate)
  const publicKey = await issuer.publicKey.export()
  const pkcs8 = createPrivateKey(key).export({ format: 'der', type: 'pkcs8' })
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, curve, false, ['sign'])

  return {
    certificate,
    async issue({ names, addresses = [], notBefore = new Date(Date.now() - hour), notAfter }) {
      const [first] = names
      if (first === undefined) throw new RangeError('names: a certificate needs at least one name')
      const end = notAfter ?? new Date(notBefore.getTime() + certificateLifetime)
      if (!(end > notBefore)) throw new RangeError('notAfter: must be after notBefore')
      for (const address of addresses) {
        if (isIP(address) === 0) throw new TypeError(`addresses: "${address}" is not an IP address`)
      }
      const keys = await webcrypto.subtle.generateKey(curve, true, ['sign', 'verify'])
      const alternativeNames = [
        ...names.map((value) => ({ type: 'dns', value }) as const),
        ...addresses.map((value) => ({ type: 'ip', value }) as const),
      ]
      const issued = await x509.X509CertificateGenerator.create({
        serialNumber: serialNumber(),
        // A common name holds 64 characters (X.520); clients go by the alternative names anyway (RFC 6125, 6.4.4).
        subject: [{ CN: [first.length <= 64 ? first : 'HCP node'] }],
        issuer: issuer.subjectName,
        notBefore,
        notAfter: end,
        publicKey: keys.publicKey,
        signingKey,
        signingAlgorithm: signing,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
          new x509.SubjectAlternativeNameExtension(alternativeNames),
          // Strict verifiers (Python 3.13 and later) insist on both key identifiers.
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
          await x509.AuthorityKeyIdentifierExtension.create(publicKey),
        ],
      })
      return { certificate: pem(issued), key: await exportKey(keys.privateKey) }
    },
  }
}

/** 16 random bytes, positive and without a leading zero byte (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes.toString('hex')
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString()
}

async function readPair(certificateFile: string, keyFile: string): Promise<IssuedCertificate | undefined> {
  let certificate: string
  let key: string
  try {
    certificate = await readFile(certificateFile, 'utf8')
    key = await readFile(keyFile, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const parsed = new NodeCertificate(certificate)
  if (!parsed.checkPrivateKey(createPrivateKey(key))) return undefined
  if (Date.parse(parsed.validTo) < Date.now() + renewalMargin) return undefined
  return { certificate, key }
}

async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const temporary = `${file}.${randomBytes(4).toString('hex')}`
  await writeFile(temporary, text, { mode, flag: 'wx' })
  await rename(temporary, file)
}
