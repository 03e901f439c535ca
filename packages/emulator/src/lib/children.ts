import type { Entry } from './namespace.ts'

/** Names to a piece: so many are moved at most when one comes in the middle. */
const pieceLength = 1_024

/**
 * What is in a directory, with its names in order at any time: a listing goes from one name to the next that there is,
 * however many there are, and whatever comes and goes meanwhile.
 */
export class Children extends Map<string, Entry> {
  /** Names in bytewise order, in pieces none of which is empty. */
  readonly #pieces: string[][] = []

  override set(name: string, entry: Entry): this {
    if (!this.has(name)) this.#insert(name)
    return super.set(name, entry)
  }

  override delete(name: string): boolean {
    if (!super.delete(name)) return false
    const number = this.#pieceOf(name)
    const piece = this.#pieces[number]!
    piece.splice(placeOf(piece, name), 1)
    if (piece.length === 0) this.#pieces.splice(number, 1)
    return true
  }

  /** The first names above `name`, some or all of them; none are left where there are none. */
  above(name: string): readonly string[] {
    const number = this.#pieceOf(name)
    const piece = this.#pieces[number]
    if (piece === undefined) return []
    const place = placeOf(piece, name)
    const rest = piece.slice(piece[place] === name ? place + 1 : place)
    return rest.length > 0 ? rest : (this.#pieces[number + 1]?.slice() ?? [])
  }

  #insert(name: string): void {
    const last = this.#pieces.at(-1)
    if (last === undefined) {
      this.#pieces.push([name])
      return
    }
    // Most come in order, and leave full pieces behind.
    if (name > last.at(-1)!) {
      if (last.length < pieceLength) last.push(name)
      else this.#pieces.push([name])
      return
    }
    const number = this.#pieceOf(name)
    const piece = this.#pieces[number]!
    piece.splice(placeOf(piece, name), 0, name)
    if (piece.length > pieceLength) this.#pieces.splice(number + 1, 0, piece.splice(pieceLength / 2))
  }

  /** Number of the piece in which a name is or would be: the last that does not begin above it. */
  #pieceOf(name: string): number {
    let [low, high] = [0, this.#pieces.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#pieces[middle]![0]! <= name) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }
}

/** Where a name is in a piece, or would be. */
function placeOf(piece: readonly string[], name: string): number {
  let [low, high] = [0, piece.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (piece[middle]! < name) low = middle + 1
    else high = middle
  }
  return low
}
