import type { Caller } from '../http/context.ts'
import { Refusal } from '../http/refusal.ts'
import type { Database } from '../store/database.ts'
import type { DatasetRights, Rights } from './rights.ts'

/** Rights as they are in the store: nothing is remembered, so that a change counts at once in all processes. */
export function openRights(database: Database): Rights {
  const get = async (dataset: string): Promise<DatasetRights | undefined> => {
    const row = await database.read
      .selectFrom('dataset_rights')
      .select(['read_groups', 'write_groups', 'read_users', 'write_users'])
      .where('dataset_id', '=', dataset)
      .executeTakeFirst()
    return (
      row && {
        read_groups: names(row.read_groups),
        write_groups: names(row.write_groups),
        read_users: names(row.read_users),
        write_users: names(row.write_users),
      }
    )
  }
  return {
    get,

    async set(dataset, rights) {
      const lists = {
        read_groups: JSON.stringify(rights.read_groups),
        write_groups: JSON.stringify(rights.write_groups),
        read_users: JSON.stringify(rights.read_users),
        write_users: JSON.stringify(rights.write_users),
      }
      await database.write
        .insertInto('dataset_rights')
        .values({ dataset_id: dataset, ...lists })
        .onConflict((conflict) => conflict.column('dataset_id').doUpdateSet(lists))
        .execute()
    },

    async remove(dataset) {
      const result = await database.write
        .deleteFrom('dataset_rights')
        .where('dataset_id', '=', dataset)
        .executeTakeFirst()
      return result.numDeletedRows > 0n
    },

    async check(caller, dataset, right) {
      if (caller.roles.has('admin')) return
      const rights = await get(dataset)
      if (rights === undefined) throw new Refusal(403, 'attr not found')
      if (!isListed(caller, rights[`${right}_groups`], rights[`${right}_users`])) {
        throw new Refusal(403, 'authorization failed')
      }
    },

    async readable(caller) {
      const rows = await database.read
        .selectFrom('dataset_rights')
        .select(['dataset_id', 'read_groups', 'read_users'])
        .execute()
      return rows
        .filter((row) => isListed(caller, names(row.read_groups), names(row.read_users)))
        .map((row) => row.dataset_id)
    },
  }
}

function isListed(caller: Caller, groups: readonly string[], users: readonly string[]): boolean {
  return (
    caller.groups.some((group) => groups.includes(group)) ||
    (caller.user !== undefined && users.includes(caller.user))
  )
}

function names(json: string): readonly string[] {
  return JSON.parse(json) as string[]
}
