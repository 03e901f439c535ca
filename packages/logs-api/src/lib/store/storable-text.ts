/** Whether both stores can hold it as text: PostgreSQL takes neither U+0000 nor lone surrogates. */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')
