import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { validateConfig } from './config.ts'
import type { Configured } from './configuration.ts'
import { Configuration } from './configuration.ts'
import { administratorsOf, tenantsOf } from './content.ts'
import { configuredAt, idOf } from './tenant.ts'

const config = validateConfig({
  tenants: [
    { name: 'm', namespaces: [{ name: 'n1' }, { name: 'n2' }], users: [{ user: 'n', password: 'n01' }] },
    { name: 'o' },
  ],
  systemUsers: [{ user: 'sysadmin', password: 's01' }],
})
const fresh = (): Configuration => new Configuration(tenantsOf(config), administratorsOf(config))
const settings = config.tenants[0]!.namespaces[0]!

/** All that there is, as plain data. */
function shown({ tenants, administrators, documents }: Configuration): unknown {
  const all = [...tenants].map(([key, tenant]) => ({
    key,
    state: tenant.state,
    namespaces: [...tenant.namespaces]
      .map(([name, { id, settings: now, documents: own, tenant: of }]) => ({ name, id, now, own, of }))
      .toSorted((one, other) => (one.id < other.id ? -1 : 1)),
    accounts: [...tenant.accounts]
      .map(([name, account]) => ({
        name,
        state: account.state,
        permissions: [...tenant.namespaces.values()]
          .map((namespace) => `${namespace.id}: ${[...namespace.permissionsOf(account)].join()}`)
          .toSorted(),
      }))
      .toSorted((one, other) => (one.name < other.name ? -1 : 1)),
  }))
  return {
    all: all.toSorted((one, other) => (one.key < other.key ? -1 : 1)),
    administrators: [...administrators.values()].map(({ state }) => state),
    documents,
  }
}

const tenantIds = [idOf('tenant', 'm'), idOf('tenant', 'o'), 't3']
const namespaceIds = [idOf('namespace', 'n1.m'), idOf('namespace', 'n2.m'), 'ns3', 'ns4']
/** A namespace is one of a tenant, those of the file are of the first one. */
function idIn(tenant: string, id: string): string {
  return tenant === tenantIds[0] && namespaceIds.indexOf(id) < 2 ? id : `${id} of ${tenant}`
}

const names = ['a', 'B', 'n1', 'n2', 'm']
const document = fc.record({ x: fc.integer() })
const change: fc.Arbitrary<Configured> = fc.oneof(
  fc
    .record({
      set: fc.constant('tenant' as const),
      id: fc.constantFrom(...tenantIds),
      name: fc.constantFrom(...names),
      gone: fc.boolean(),
      x: document,
    })
    .map(({ set, id, name, gone, x }): Configured => ({
      set,
      id,
      value: gone ? null : { id, name, created: configuredAt, documents: { x } },
    })),
  fc
    .record({
      tenant: fc.constantFrom(...tenantIds),
      id: fc.constantFrom(...namespaceIds),
      name: fc.constantFrom(...names),
      gone: fc.boolean(),
      x: document,
    })
    .map(({ tenant, id, name, gone, x }): Configured => ({
      set: 'namespace',
      tenant,
      id: idIn(tenant, id),
      value: gone
        ? null
        : {
            id: idIn(tenant, id),
            created: configuredAt,
            settings: { ...settings, name },
            documents: { x },
          },
    })),
  fc
    .record({
      tenant: fc.constantFrom(...tenantIds),
      name: fc.constantFrom('n', 'u', 'v'),
      id: fc.constantFrom('u1', 'u2'),
      gone: fc.boolean(),
    })
    .map(({ tenant, name, id, gone }): Configured => ({
      set: 'account',
      tenant,
      id: `${id} of ${tenant}`,
      value: gone
        ? null
        : {
            id: `${id} of ${tenant}`,
            number: 1,
            user: name,
            password: 'p',
            roles: [],
            enabled: true,
            allowNamespaceManagement: false,
            properties: {},
            grants: { [namespaceIds[0]!]: ['read'] },
          },
    })),
  document.map((x): Configured => ({ set: 'system', id: 'system', value: { x } })),
)

/** Whether a change could have come from the management API: names are unique, and what it is about is there. */
function isPossible(configuration: Configuration, each: Configured): boolean {
  if (each.set === 'system') return true
  const tenant = each.set === 'tenant' ? undefined : configuration.tenantById(each.tenant ?? '')
  if (each.set === 'tenant') {
    if (each.value === null) return (configuration.tenantById(each.id)?.namespaces.size ?? 1) === 0
    const same = configuration.tenants.get(each.value.name.toLowerCase())
    // What was deleted does not come back under its id.
    const known = configuration.tenantById(each.id) !== undefined || each.id === 't3'
    return known && (same === undefined || same.id === each.id)
  }
  if (tenant === undefined) return false
  if (each.value === null) return true
  if (each.set === 'namespace') {
    const same = tenant.namespaces.get(each.value.settings.name.toLowerCase())
    return same === undefined || same.id === each.id
  }
  const same = tenant.account(each.value.user)
  return same === undefined || same.state.id === each.id
}

test('the last change of each thing leads from the configuration file to the same as all of them in their order', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
      const lived = fresh()
      const gone = new Set<string>()
      for (const each of changes) {
        if (!isPossible(lived, each) || gone.has(`${each.set} ${each.id}`)) continue
        if (each.value === null) gone.add(`${each.set} ${each.id}`)
        lived.apply(JSON.parse(JSON.stringify(each)) as Configured)
      }
      const again = fresh()
      for (const each of lived.records()) again.apply(JSON.parse(JSON.stringify(each)) as Configured)
      expect(shown(again)).toEqual(shown(lived))
      // A journal that was compacted may have some of them twice.
      for (const each of lived.records()) again.apply(each)
      expect(shown(again)).toEqual(shown(lived))
    }),
    { numRuns: 300 },
  )
})

test('what a change replaces brings it back', () => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 10 }), (changes) => {
      const configuration = fresh()
      for (const each of changes) {
        if (!isPossible(configuration, each)) continue
        const before = shown(configuration)
        const back = configuration.present(each)
        configuration.apply(each)
        configuration.apply(back)
        expect(shown(configuration)).toEqual(before)
        configuration.apply(each)
      }
    }),
  )
})
