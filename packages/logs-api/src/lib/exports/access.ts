import type { Caller } from '../http/context.ts'
import type { SystemOptions } from '../http/options.ts'
import { Refusal } from '../http/refusal.ts'
import type { ExportRow } from './export-task.ts'
import type { Exports } from './exports.ts'

/** Admins have the exports of all projects; so has a system whose token names no project. */
export function hasAllProjects({ roles, project }: Caller): boolean {
  return roles.has('admin') || (roles.has('system') && project === undefined)
}

/**
 * The HCP system of a path.
 *
 * @throws {Refusal} 403 for another project than the token's, 404 for a system that is none, or another project's.
 */
export function systemOf(
  exports: Exports,
  caller: Caller,
  { project, server }: { project: string; server: string },
): SystemOptions {
  if (!hasAllProjects(caller) && caller.project !== project)
    throw new Refusal(403, 'Insufficient permissions', { code: 'iMetal.0004' })
  const system = exports.system(server)
  if (system === undefined || system.project !== project)
    throw new Refusal(404, `Physical servers ID not found: [${server}]`, { code: 'iMetal.0100' })
  return system
}

/** @throws {Refusal} 404 for one that is none, or of another system or project. */
export async function exportOf(exports: Exports, system: SystemOptions, id: string): Promise<ExportRow> {
  const row = await exports.store.get(id)
  if (row === undefined || row.system_id !== system.id || row.project_id !== system.project)
    throw new Refusal(404, `There is no export ${id} of this server.`, { code: 'HcpLogs.0404' })
  return row
}
