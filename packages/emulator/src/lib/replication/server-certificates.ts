import { randomUUID, X509Certificate } from 'node:crypto'
import { Refusal } from '../refusal.ts'

export interface UploadedCertificate {
  readonly id: string
  /** PEM. */
  readonly text: string
}

export interface CertificatesState {
  readonly server: string
  readonly uploaded: readonly UploadedCertificate[]
}

/** What a system identifies itself with on its links, and what it knows of others. */
export class ServerCertificates {
  /** PEM. */
  readonly server: string
  readonly #uploaded: UploadedCertificate[]

  constructor(server: string, uploaded: readonly UploadedCertificate[] = []) {
    this.server = server
    this.#uploaded = [...uploaded]
  }

  get state(): CertificatesState {
    return { server: this.server, uploaded: this.#uploaded }
  }

  /** Its own first, under the id `server`. */
  get all(): readonly UploadedCertificate[] {
    return [{ id: 'server', text: this.server }, ...this.#uploaded]
  }

  /** Refuses what is no certificate, and one that is there already. */
  add(text: string): void {
    let certificate: X509Certificate
    try {
      certificate = new X509Certificate(text)
    } catch {
      throw new Refusal(400, 'The body is no certificate.')
    }
    if (this.has(text)) throw new Refusal(409, 'The certificate is there already.')
    this.#uploaded.push({ id: randomUUID(), text: certificate.toString() })
  }

  has(text: string): boolean {
    if (text === '') return false
    const { fingerprint256 } = new X509Certificate(text)
    return this.#uploaded.some((each) => new X509Certificate(each.text).fingerprint256 === fingerprint256)
  }

  find(id: string): UploadedCertificate | undefined {
    return this.all.find((each) => each.id === id)
  }

  remove(id: string): boolean {
    const at = this.#uploaded.findIndex((each) => each.id === id)
    if (at === -1) return false
    this.#uploaded.splice(at, 1)
    return true
  }
}
