// Makes one request and ends without closing anything; prints how long the process lived on after its work. A second port is that of a
// replica, to which requests go because nobody listens on the first.
import { AnonymousAuthorization } from '@hcp/auth'
import { Connection, ReplicaStrategy, Target } from '../src/index.ts'

const target = new Target('127.0.0.1', {
  port: Number(process.argv[2]),
  tls: false,
  authorization: new AnonymousAuthorization(),
  ...(process.argv[3] === undefined
    ? {}
    : {
        replica: {
          fqdn: 'localhost.test',
          addresses: ['127.0.0.1'],
          port: Number(process.argv[3]),
          strategy: ReplicaStrategy.readOnFailover,
          failover: { minProbe: 1 },
        },
      }),
})
const connection = new Connection(target)
const response = await connection.get('/rest/a')
await response.bytes()
if (process.argv[3] !== undefined) {
  // This one sets a probe off.
  await new Promise((resolve) => {
    setTimeout(resolve, 5)
  })
  await (await connection.get('/rest/a')).bytes()
}
const done = performance.now()
process.on('exit', () => console.log(Math.round(performance.now() - done)))
