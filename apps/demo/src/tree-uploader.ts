// Stores a tree of files and prints a line for each that is through: a program of its own, so that it can be killed.
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { ObjectClient } from '@hcp/objects'
import { type Reach, storeTree, type TreeJob } from './tree.ts'

const { job, reach } = JSON.parse(process.argv[2] ?? '') as { job: TreeJob; reach: Reach }
using target = new Target(reach.fqdn, {
  authorization: new NativeAuthorization('n', 'n01'),
  port: reach.port,
  tls: { ca: reach.ca },
  nameServers: [reach.dns],
})
await using objects = new ObjectClient(target)
await storeTree(objects, job, ({ file }) => console.log(JSON.stringify(file)))
