// Makes one request and ends without closing anything; prints how long the process lived on after its work.
import { AnonymousAuthorization } from '@hcp/auth'
import { Connection, Target } from '../src/index.ts'

const target = new Target('127.0.0.1', {
  port: Number(process.argv[2]),
  tls: false,
  authorization: new AnonymousAuthorization(),
})
const connection = new Connection(target)
const response = await connection.get('/rest/a')
await response.bytes()
const done = performance.now()
process.on('exit', () => console.log(Math.round(performance.now() - done)))
