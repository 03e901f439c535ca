export { serve } from './lib/store/sqlite-server.ts'
