import { Journal, type JournalSubject } from './journal.ts'
import type { Tally } from './transfer-summary.ts'

/** What a tree's transfer goes on from. */
export interface TreeJournal<Entry> {
  /** `undefined` where none is kept. */
  readonly journal: Journal | undefined
  /** What earlier runs said of each file, by its name. */
  readonly entries: Map<string, Entry>
}

/**
 * Opens the journal of a tree, if it is to have one.
 *
 * @throws {JournalError} as {@link Journal.open}.
 */
export async function openTreeJournal<Entry>(
  file: string | undefined,
  subject: JournalSubject,
): Promise<TreeJournal<Entry>> {
  const entries = new Map<string, Entry>()
  if (file === undefined) return { journal: undefined, entries }
  const journal = await Journal.open(file, subject, (record) => {
    const { file: name, ...entry } = record as Entry & { readonly file: string }
    entries.set(name, entry as Entry)
  })
  return { journal, entries }
}

/**
 * Does the work that a journal is kept of, and closes the journal, whatever comes of it.
 *
 * @throws {TransferStoppedError} if the work was done but the journal does not have all of it.
 */
export async function withJournal(
  journal: Journal | undefined,
  tally: Tally,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    await journal?.close().catch(() => {})
    throw error
  }
  try {
    await journal?.close()
  } catch (error) {
    throw tally.stopped('the journal is not complete', error as Error)
  }
}
