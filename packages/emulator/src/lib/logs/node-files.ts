import { plain } from './access-log.ts'
import type { ArchiveEntry } from './archives.ts'
import { backEndAddress, logNodeNumber } from './log-types.ts'
import type { LogMark, LogType } from './log-types.ts'

/** What the files of a node tell about. */
export interface NodeStory {
  readonly domain: string
  readonly softwareVersion: string
  /** When the package was made, epoch milliseconds. */
  readonly created: number
  /** How many requests of the days in question the node has served. */
  readonly served: number
  readonly marks: readonly LogMark[]
}

/** The files of a General node but for its access logs: invented, except for the marks and the number of requests. */
export function nodeFiles(
  node: number,
  types: readonly LogType[],
  story: NodeStory,
): readonly ArchiveEntry[] {
  const { domain, softwareVersion, created, served, marks } = story
  const name = `node${logNodeNumber(node)}`
  const address = backEndAddress(node)
  const at = `${stamp(created)} ${name}`
  const files: Readonly<Record<LogType, Readonly<Record<string, readonly string[]>>>> = {
    ACCESS: {},
    SYSTEM: {
      'log/messages': [`${at} kernel: eth1: link is up`, `${at} systemd[1]: Started log collection.`],
      'ris/system/network.txt': [`eth1 ${address}/24`, 'default via 172.21.150.254 dev eth1'],
      'ris/system/firewall.txt': [
        'ACCEPT tcp dport 80',
        'ACCEPT tcp dport 443',
        'ACCEPT tcp dport 9090',
        'DROP all',
      ],
    },
    SERVICE: {
      'ris/service/install.log': [`${at} installed release ${softwareVersion}`],
      'ris/service/recovery.log': [],
    },
    APPLICATION: {
      'ris/log/internal.log': [
        `${at} INFO  [logs] ${domain}: ${served} requests served on this node`,
        ...marks.map(
          ({ time, user, text }) =>
            `${stamp(time)} ${name} INFO  [logs] Log mark by ${plain(user)}: ${plain(text)}`,
        ),
      ],
      'ris/log/jvm.log': [`${at} INFO  [jvm] heap 4096 MB`],
      'ris/log/volume-manager.log': [`${at} INFO  [volumes] all volumes available`],
    },
  }
  const folder = folderOf(node)
  return types.flatMap((type) =>
    Object.entries(files[type]).map(([file, lines]) => textFile(`${folder}/var/${file}`, lines)),
  )
}

/** All that an S Series node has. */
export function sNodeFiles(name: string, created: number): readonly ArchiveEntry[] {
  const at = `${stamp(created)} ${name}`
  return [
    textFile(`${name}/var/log/messages`, [`${at} kernel: all enclosures found`]),
    textFile(`${name}/var/log/s3-gateway.log`, [`${at} INFO  [gateway] ready`]),
  ]
}

/** In archives the number of a node has three digits. */
export function folderOf(node: number): string {
  return String(logNodeNumber(node)).padStart(3, '0')
}

function textFile(name: string, lines: readonly string[]): ArchiveEntry {
  return { name, content: Buffer.from(lines.map((line) => `${line}\n`).join('')) }
}

/** `2021-05-03 08:14:55,120` */
function stamp(time: number): string {
  return new Date(time).toISOString().replace('T', ' ').replace('.', ',').slice(0, -1)
}
