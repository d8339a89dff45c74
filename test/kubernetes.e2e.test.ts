/* What is deployed on Kubernetes: each overlay renders, is what the API server takes, and keeps to a list of rules. */
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject'
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor'
import { execFile } from 'node:child_process'
import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { readdirSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { settingDefinitions } from '../src/platform/settings.ts'
import { install } from './support/install.ts'
import { Service } from './support/service.ts'

const run = promisify(execFile)

type Labels = Record<string, string>
type Environment = { name: string; value?: string; valueFrom?: { secretKeyRef?: { name: string } } }
type Container = {
  name: string
  image: string
  env?: Environment[]
  ports?: { name: string; containerPort: number }[]
  resources?: { requests?: Labels; limits?: Labels }
  securityContext?: object
  volumeMounts?: { name: string; mountPath: string }[]
} & Record<'startupProbe' | 'livenessProbe' | 'readinessProbe', { httpGet: { path: string; port: string } } | undefined>
type Pod = {
  terminationGracePeriodSeconds?: number
  topologySpreadConstraints?: { labelSelector: { matchLabels: Labels } }[]
  automountServiceAccountToken?: boolean
  serviceAccountName?: string
  securityContext?: object
  containers: Container[]
  enableServiceLinks?: boolean
  volumes?: { name: string; persistentVolumeClaim?: { claimName: string }; configMap?: { name: string } }[]
}
type Resource = {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Labels }
  spec: {
    replicas?: number
    strategy?: { type: string }
    selector?: { matchLabels: Labels } & Labels
    podSelector?: { matchLabels: Labels }
    template?: { metadata: { labels: Labels }; spec: Pod }
    ports?: { name: string; targetPort: string }[]
    accessModes?: string[]
    scaleTargetRef?: { name: string }
  }
  automountServiceAccountToken?: boolean
}

type Models = Record<string, (new (data: Resource) => { validate(): void }) | undefined>

/** Those that others than Kubernetes define. */
const CUSTOM = { ScaledObject, ServiceMonitor } as unknown as Models
const modelsOf = async (apiVersion: string, kind: string) =>
  CUSTOM[kind] ? CUSTOM : ((await import(`kubernetes-models/${apiVersion}/${kind}`)) as Models)

const OVERLAYS = readdirSync('k8s/overlays')

beforeAll(() => install(['kubernetes-client'], ['/usr/bin/kubectl']), 120_000)

async function rendered(overlay: string): Promise<Resource[]> {
  const { stdout } = await run('kubectl', ['kustomize', `k8s/overlays/${overlay}`])
  return parseAllDocuments(stdout).map((document) => document.toJS() as Resource)
}

const isWithin = (some: Labels, all: Labels) => Object.entries(some).every(([name, value]) => all[name] === value)

describe.each(OVERLAYS)('the overlay %s', (overlay) => {
  let resources: Resource[]
  const ofKind = (kind: string) => resources.filter((each) => each.kind === kind)
  const pods = () => [...ofKind('Deployment'), ...ofKind('Job')].flatMap(({ spec }) => spec.template ?? [])
  const processes = () => ofKind('Deployment').flatMap(({ spec }) => spec.template?.spec.containers ?? [])
  const containers = () => pods().flatMap(({ spec }) => spec.containers)
  beforeAll(async () => {
    resources = await rendered(overlay)
  })

  test("is valid by Kubernetes' own schemas", async () => {
    expect(resources.length).toBeGreaterThan(5)
    for (const resource of resources) {
      const { apiVersion, kind } = resource
      const Model = (await modelsOf(apiVersion, kind))[kind]
      if (!Model) throw new Error(`there is no schema of ${kind}`)
      new Model(resource).validate()
    }
    // the schemas do refuse what is wrong
    const wrong = { metadata: {}, spec: { replicas: 'one' } } as never
    expect(() => new Deployment(wrong).validate()).toThrow()
  })

  test('operator 9: renders without a warning', async () => {
    expect((await run('kubectl', ['kustomize', `k8s/overlays/${overlay}`])).stderr).toBe('')
  })

  test('operator 9: has no setting set by the names of its services', () => {
    for (const { spec } of pods()) expect(spec.enableServiceLinks).toBe(false)
  })

  test('operator 9: has a place for certificate authorities of your own', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'mailfold-k8s-'))
    try {
      await cp('k8s', copy, { recursive: true })
      await writeFile(join(copy, 'components/tls-ca/ca.pem'), '-----BEGIN CERTIFICATE-----')
      const path = join(copy, 'overlays', overlay, 'kustomization.yaml')
      await writeFile(path, `${await readFile(path, 'utf8')}components: [../../components/tls-ca]\n`)
      const { stdout, stderr } = await run('kubectl', ['kustomize', join(copy, 'overlays', overlay)])
      expect(stderr).toBe('')
      const resourcesWith = parseAllDocuments(stdout).map((document) => document.toJS() as Resource)
      const names = resourcesWith.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata.name)
      for (const { spec } of resourcesWith.filter(({ kind }) => kind === 'Deployment')) {
        const { containers: [container] = [], volumes = [] } = spec.template?.spec ?? {}
        const setting = container?.env?.find(({ name }) => name === 'MAILFOLD_TLS_CA')
        const mount = container?.volumeMounts?.find(({ mountPath }) => setting?.value === `${mountPath}/ca.pem`)
        expect(names).toContain(volumes.find(({ name }) => name === mount?.name)?.configMap?.name)
        expect(container?.volumeMounts?.map(({ mountPath }) => mountPath)).toContain('/data')
      }
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  })

  test('runs nothing as root, nothing that can be written to, and nothing that is not pinned', () => {
    expect(containers().length).toBeGreaterThan(0)
    for (const { image, securityContext } of containers()) {
      expect(image).toMatch(/:\d+\.\d+\.\d+$/)
      expect(securityContext).toMatchObject({
        ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      })
    }
    for (const { spec } of pods()) {
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
      expect(spec.automountServiceAccountToken).toBe(false)
      expect(ofKind('ServiceAccount').map(({ metadata }) => metadata.name)).toContain(spec.serviceAccountName)
    }
    for (const account of ofKind('ServiceAccount')) expect(account.automountServiceAccountToken).toBe(false)
    for (const { metadata } of ofKind('Namespace'))
      expect(metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' })
  })

  test('says what it needs, and how it is seen to be well', () => {
    for (const { resources: bounds } of containers())
      for (const bound of [bounds?.requests, bounds?.limits])
        expect(bound).toMatchObject({ cpu: expect.any(String) as string, memory: expect.any(String) as string })
    for (const container of processes()) {
      const ports = container.ports?.map(({ name }) => name)
      for (const [probe, path] of [
        ['startupProbe', '/health/live'],
        ['livenessProbe', '/health/live'],
        ['readinessProbe', '/health/ready'],
      ] as const) {
        expect([probe, container[probe]?.httpGet.path]).toEqual([probe, path])
        expect(ports).toContain(container[probe]?.httpGet.port)
      }
    }
  })

  test('has its secrets by reference, and sets what can be set', () => {
    for (const { env = [] } of containers())
      for (const { name, value, valueFrom } of env) {
        expect(Object.keys(settingDefinitions)).toContain(name)
        if (/URL|TOKEN|KEY|BLOBS/.test(name))
          expect([name, value, valueFrom?.secretKeyRef?.name]).toEqual([name, undefined, 'mailfold'])
      }
  })

  test('fits together: services, policies, claims and mounts find what they name', () => {
    const labels = pods().map(({ metadata }) => metadata.labels)
    for (const { spec } of ofKind('Service'))
      expect(labels.some((each) => isWithin(spec.selector ?? {}, each))).toBe(true)
    for (const each of labels)
      expect(ofKind('NetworkPolicy').some(({ spec }) => isWithin(spec.podSelector?.matchLabels ?? {}, each))).toBe(true)
    const claims = ofKind('PersistentVolumeClaim').map(({ metadata }) => metadata.name)
    for (const { spec } of pods()) {
      for (const { persistentVolumeClaim } of spec.volumes ?? [])
        if (persistentVolumeClaim) expect(claims).toContain(persistentVolumeClaim.claimName)
      for (const { volumeMounts = [] } of spec.containers)
        for (const { name } of volumeMounts) expect(spec.volumes?.map((volume) => volume.name)).toContain(name)
    }
  })

  test('has time to stop, and a place for raw messages that all its processes have', () => {
    const settingOf = ({ env = [] }: Container, name: string) => Number(env.find((each) => each.name === name)?.value)
    for (const { spec } of ofKind('Deployment').flatMap((each) => each.spec.template ?? []))
      for (const container of spec.containers) {
        const needed = settingOf(container, 'MAILFOLD_DRAIN_DELAY') + settingOf(container, 'MAILFOLD_STOP_TIMEOUT')
        expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(needed / 1_000 + 5)
      }
    const isOne = ofKind('Deployment').length === 1 && ofKind('Deployment')[0]?.spec.replicas === 1
    const modes = ofKind('PersistentVolumeClaim').map(({ spec }) => spec.accessModes)
    expect(modes).toEqual(isOne ? [['ReadWriteOnce']] : [])
    if (isOne) expect(ofKind('Deployment')[0]?.spec.strategy).toEqual({ type: 'Recreate' })
    else for (const { env = [] } of processes()) expect(env.map(({ name }) => name)).toContain('MAILFOLD_BLOBS')
  })

  test('scales, guards and watches what is there', () => {
    const names = ofKind('Deployment').map(({ metadata }) => metadata.name)
    for (const { spec } of [...ofKind('HorizontalPodAutoscaler'), ...ofKind('ScaledObject')])
      expect(names).toContain(spec.scaleTargetRef?.name)
    for (const { spec } of ofKind('PodDisruptionBudget'))
      expect(pods().some(({ metadata }) => isWithin(spec.selector?.matchLabels ?? {}, metadata.labels))).toBe(true)
    for (const { spec } of ofKind('ServiceMonitor'))
      expect(
        ofKind('Service').some(({ metadata }) => isWithin(spec.selector?.matchLabels ?? {}, metadata.labels ?? {})),
      ).toBe(true)
    for (const { spec } of pods())
      for (const { labelSelector } of spec.topologySpreadConstraints ?? [])
        expect(pods().some(({ metadata }) => isWithin(labelSelector.matchLabels, metadata.labels))).toBe(true)
  })
})

test('operator 9: the examples for systemd and for proxies set what can be set, and keep WebSockets open', async () => {
  const [unit = '', nginx = '', caddy = ''] = await Promise.all(
    ['mailfold.service', 'nginx.conf', 'Caddyfile'].map((file) => readFile(`docs/examples/${file}`, 'utf8')),
  )
  for (const [, name = ''] of unit.matchAll(/Environment=(MAILFOLD_[A-Z_]+)=/g))
    expect(Object.keys(settingDefinitions)).toContain(name)
  const timeout = /^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1]
  expect(Number(timeout) * 1_000).toBeGreaterThan(Number(settingDefinitions.MAILFOLD_STOP_TIMEOUT.default))
  const port = settingDefinitions.MAILFOLD_PORT.default
  for (const proxy of [nginx, caddy]) expect(proxy).toContain(`127.0.0.1:${port}`)
  for (const line of ['proxy_http_version 1.1', 'proxy_set_header Upgrade', 'proxy_read_timeout 1h'])
    expect(nginx).toContain(line)
})

test('what is watched, drawn and scaled by is measured', async () => {
  const rendered = await Promise.all(
    ['scaling.yaml', 'dashboard.json'].map((file) => readFile(`k8s/overlays/production/${file}`, 'utf8')),
  )
  const named = new Set(rendered.join().match(/\b(mailfold|nodejs|process)_[a-z0-9_]+(?=\{)/g))
  expect(named.size).toBeGreaterThan(10)
  const service = await Service.start()
  try {
    const text = await (await service.fetch('/metrics')).text()
    for (const name of named)
      expect([name, text.includes(`# TYPE ${name.replace(/_bucket$/, '')} `)]).toEqual([name, true])
  } finally {
    await service?.stop()
  }
})
