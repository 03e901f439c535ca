export { type Postgres, startPostgres } from './lib/postgres.ts'
