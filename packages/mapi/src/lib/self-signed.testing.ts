import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

/** A certificate that signs itself, for the names given, and its key; PEM. DER by hand: Node makes no certificates (RFC 5280, section 4.1). */
export function selfSigned(...names: readonly string[]): { readonly cert: string; readonly key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(set(sequence(oid(0x55, 0x04, 0x03), value(0x0c, Buffer.from('test')))))
  const signedWith = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
  const alternatives = sequence(...names.map((each) => value(0x82, Buffer.from(each))))
  const body = sequence(
    value(0xa0, value(0x02, Buffer.of(2))),
    value(0x02, serialOf(publicKey)),
    signedWith,
    name,
    sequence(value(0x17, Buffer.from('200101000000Z')), value(0x17, Buffer.from('491231235959Z'))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    value(0xa3, sequence(sequence(oid(0x55, 0x1d, 0x11), value(0x04, alternatives)))),
  )
  const signature = sign('sha256', body, privateKey)
  const certificate = sequence(body, signedWith, value(0x03, Buffer.concat([Buffer.of(0), signature])))
  const lines = certificate.toString('base64').replaceAll(/.{64}/g, '$&\n')
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

const serialOf = (key: KeyObject): Buffer =>
  Buffer.concat([
    Buffer.of(1),
    createHash('sha256')
      .update(key.export({ type: 'spki', format: 'der' }))
      .digest()
      .subarray(0, 8),
  ])

function value(tag: number, content: Buffer): Buffer {
  const { length } = content
  const head =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, Math.floor(length / 256), length % 256]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}
const sequence = (...parts: readonly Buffer[]): Buffer => value(0x30, Buffer.concat(parts))
const set = (...parts: readonly Buffer[]): Buffer => value(0x31, Buffer.concat(parts))
const oid = (...bytes: readonly number[]): Buffer => value(0x06, Buffer.from(bytes))
