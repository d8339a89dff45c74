/** Which room may have a door to which; docs/architecture.md tells why. */
const may = {
  mailbox: [],
  platform: [],
  'event-store': ['mailbox', 'platform'],
  // the inline projection is a port of the event store's; its type is all that is taken
  projections: ['mailbox', 'platform', 'event-store'],
  mime: ['mailbox'],
  protocols: ['mailbox', 'mime', 'platform'],
  content: ['mailbox', 'mime', 'platform'],
  'access-models': ['mailbox', 'event-store', 'projections', 'protocols', 'content', 'platform'],
  forgetting: ['mailbox', 'event-store', 'projections', 'content', 'platform'],
  queues: ['mailbox', 'access-models', 'projections', 'event-store', 'content', 'platform'],
  api: ['mailbox', 'projections', 'event-store', 'content', 'mime', 'platform'],
}

module.exports = {
  forbidden: [
    ...Object.entries(may).map(([room, doors]) => ({
      name: `rooms-of-${room}`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: `^src/(${[room, ...doors].join('|')})/` },
    })),
    {
      name: 'the-core-is-pure',
      comment: 'src/mailbox imports nothing but itself',
      severity: 'error',
      from: { path: '^src/mailbox/', pathNot: '\\.test\\.ts$' },
      to: { pathNot: '^src/mailbox/' },
    },
    { name: 'no-circles', severity: 'error', from: { path: '^src' }, to: { circular: true } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, path: '^src', pathNot: '\\.d\\.ts$' }, to: {} },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
}
