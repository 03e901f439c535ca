/** Bytes of buffers after which the collector is woken. */
const often = 12 * 1024 * 1024
/** More bytes than V8 lets lie outside its heap before it looks for what can go. */
const weight = 64 * 1024 * 1024

/**
 * Keeps memory small where gigabytes go by in buffers that nobody holds. V8 does not see what they weigh, and lets more than 64 MiB of
 * them lie around. So after some of them it is shown one that is heavy enough to make it look. That one is never touched, and so takes
 * addresses but no memory.
 */
export class Collector {
  #bytes = 0

  /** @param bytes That have just gone by. */
  passed(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < often) return
    this.#bytes = 0
    try {
      void new ArrayBuffer(weight)
    } catch {
      // No addresses left: then V8 has just looked, too.
    }
  }
}
