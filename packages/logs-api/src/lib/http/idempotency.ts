import { createHash, hash } from 'node:crypto'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { derivedLogId } from '../entries/log-id.ts'
import type { ClaimedRequest, IdempotencyKeys, StoredAnswer } from '../store/idempotency.ts'
import type { RequestIdentity, ServiceLog } from './context.ts'
import { Refusal } from './refusal.ts'
import { streamed } from './unpack.ts'

interface Keyed {
  readonly caller: string
  readonly key: string
  readonly route: string
  /** Of the body; undefined until it has been read to its end. */
  bodyHash: string | undefined
  /** Set while the request is ours to do. */
  claim: ClaimedRequest | undefined
  renewal: NodeJS.Timeout | undefined
}

/** What of an answer is kept beside its body. The rest tells of the connection or of the moment. */
const keptHeaders = ['content-type', 'location', 'retry-after']

/** Answers requests that come again with the same `Idempotency-Key` as they were answered before. Any POST may have one. */
export function addIdempotency(app: FastifyInstance, keys: IdempotencyKeys, log: ServiceLog): void {
  const states = new WeakMap<FastifyRequest, Keyed>()

  app.addHook('preParsing', async (request, _reply, payload) => {
    const key = request.headers['idempotency-key']
    if (request.method !== 'POST' || key === undefined) return undefined
    if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw new Refusal(400, '`Idempotency-Key` has to be 1 to 255 visible characters of ASCII.')
    }
    const keyed: Keyed = {
      caller: callerKey(request),
      key,
      route: `POST ${request.url}`,
      bodyHash: undefined,
      claim: undefined,
      renewal: undefined,
    }
    states.set(request, keyed)
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers
    if (coding === undefined && (length === undefined || length === '0')) {
      keyed.bodyHash = hash('sha256', '')
      return undefined
    }
    const hashing = createHash('sha256')
    return streamed(
      (async function* () {
        for await (const piece of payload.iterator({ destroyOnReturn: false })) {
          hashing.update(piece)
          yield piece
        }
        keyed.bodyHash = hashing.digest('hex')
      })(),
    )
  })

  // Bodies that are streamed are read by the handler only: their hash is not known here.
  app.addHook('preHandler', async (request, reply) => {
    const keyed = states.get(request)
    if (keyed === undefined) return undefined
    const { caller, key, route, bodyHash } = keyed
    const wanted = { caller, key, route, bodyHash }
    const claim = await keys.claim(wanted)
    if (claim.state === 'running') {
      throw new Refusal(
        409,
        'The first request with this `Idempotency-Key` is still at work. Wait for its end.',
        {
          headers: { 'retry-after': '1' },
        },
      )
    }
    if (claim.state === 'other') throw otherRequest()
    if (claim.state === 'done') {
      if (request.body instanceof Readable) await finished(request.body.resume())
      if (keyed.bodyHash !== claim.bodyHash) throw otherRequest()
      return replay(reply, claim.answer)
    }
    keyed.claim = wanted
    keyed.renewal = setInterval(() => {
      keys
        .renew(wanted)
        .catch((error: unknown) => log.warn({ error: String(error) }, 'A claim was not renewed.'))
    }, keys.renewEvery / 1000)
    keyed.renewal.unref()
    request.identity = identity(caller, key, claim.claimedAt)
    return undefined
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const keyed = states.get(request)
    if (keyed?.claim === undefined) return payload
    clearInterval(keyed.renewal)
    const { claim, bodyHash } = keyed
    keyed.claim = undefined
    const body = bytes(payload)
    try {
      // Without a hash the body was not read to its end, and what comes next cannot be compared with it.
      if (reply.statusCode >= 500 || body === undefined || bodyHash === undefined) await keys.release(claim)
      else await keys.complete(claim, bodyHash, { status: reply.statusCode, headers: kept(reply), body })
    } catch (error) {
      // The work is done. Should the request come again, it finds what is stored under the same ids.
      log.warn({ error: String(error) }, 'An answer was not kept for its `Idempotency-Key`.')
    }
    return payload
  })
}

function otherRequest(): Refusal {
  return new Refusal(422, 'This `Idempotency-Key` came with another request before. Take a new one.')
}

function replay(reply: FastifyReply, answer: StoredAnswer): FastifyReply {
  return reply
    .code(answer.status)
    .headers({ ...answer.headers, 'idempotency-replayed': 'true' })
    .send(answer.body)
}

function kept(reply: FastifyReply): Record<string, string> {
  const headers = reply.getHeaders()
  return Object.fromEntries(
    keptHeaders.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]])),
  )
}

/** Undefined: it is a stream. */
function bytes(payload: unknown): Buffer | undefined {
  if (payload === undefined || payload === null) return Buffer.alloc(0)
  if (typeof payload === 'string') return Buffer.from(payload)
  return Buffer.isBuffer(payload) ? payload : undefined
}

/** A token need not name a subject; then the token itself tells whose key it is. */
function callerKey(request: FastifyRequest): string {
  const { subject, user } = request.caller
  if (subject !== '' && subject.length <= 200) return subject
  const { authorization = '', 'x-auth-token': token = '' } = request.headers
  return `sha256:${hash('sha256', subject || (user ?? `${authorization} ${String(token)}`))}`
}

function identity(caller: string, key: string, claimedAt: number): RequestIdentity {
  // Lengths first, so that no two lists of parts read the same.
  const digest = (what: string): Buffer =>
    hash('sha256', JSON.stringify([caller, key, claimedAt, what]), 'buffer')
  return {
    claimedAt,
    entryId: (index) => {
      const bytes = digest(`entry ${index}`)
      return (bucket) => derivedLogId(Math.floor(claimedAt / 1000), bytes, bucket)
    },
    uuid: (name) => {
      const bytes = digest(`uuid ${name}`)
      bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
      bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
      const hex = bytes.toString('hex')
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`
    },
  }
}
