// Lists one folder once, a program of its own: so its memory is that of the listing and of nothing before it.
import { performance } from 'node:perf_hooks'
import { NativeAuthorization } from '@hcp/auth'
import { Target } from '@hcp/connection'
import { ObjectClient } from '@hcp/objects'
import { checked } from './clients.ts'
import type { ListingOrder, ListingResult } from './listing.ts'

const order = JSON.parse(process.argv[2] ?? '') as ListingOrder
using target = new Target(`n1.m.${order.domain}`, {
  authorization: new NativeAuthorization('n', 'n01'),
  port: order.port,
  tls: false,
  addresses: ['127.0.0.1'],
})
await using objects = new ObjectClient(target)
// Everything is loaded and the socket open before memory and time are looked at.
checked(await objects.exists('/rest/large'), 'HEAD of the folder')

let highest = process.memoryUsage.rss()
const before = highest
const sampling = setInterval(() => {
  highest = Math.max(highest, process.memoryUsage.rss())
}, 20)
const began = performance.now()
let first = 0
let entries = 0
let bytes = 0
for await (const entry of objects.list('/rest/large')) {
  if (entries++ === 0) first = performance.now() - began
  if (entry.type === 'object') bytes += entry.size
}
const all = performance.now() - began
clearInterval(sampling)
checked(entries === order.entries && bytes === entries, 'the listing')
const result: ListingResult = {
  first,
  all,
  memoryGrowth: Math.max(highest, process.memoryUsage.rss()) - before,
  memoryPeak: process.resourceUsage().maxRSS * 1024,
}
console.log(JSON.stringify(result))
