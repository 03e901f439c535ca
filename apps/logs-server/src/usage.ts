export const usage = `usage: hcp-logs-server --config FILE.json [options]

The logs service for Hitachi Content Platform: logs of datasets and tasks, operation logs, exports of HCP's own logs.

  --config FILE.json   the configuration; README.md of this program tells its fields
  --host ADDRESS       listen here, default 127.0.0.1
  --port N             default 8181; 0 takes any that is free
  --database URL       sqlite:FILE or postgres://user:password@host:port/name, instead of the configuration's
  --citus              distribute the tables over the workers of Citus, and end
  -h, --help           show this

When it takes requests it prints one line of JSON: {"ready":true,"url":"http://…","metrics":"http://…"}. It logs to standard
error. SIGTERM and SIGINT let what is under way finish; a second one ends it at once.

Exit codes: 0 stopped, 1 it could not start, 2 the command line or the configuration is wrong.
`

/** The command line or the configuration cannot be worked with: exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}
