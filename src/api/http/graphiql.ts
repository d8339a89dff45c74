import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

const require = createRequire(import.meta.url)

/** What the page needs, by the path under which it is served; all from packages, so that no other host is asked. */
const ASSETS = {
  react: 'react/umd/react.production.min.js',
  'react-dom': 'react-dom/umd/react-dom.production.min.js',
  graphiql: 'graphiql/graphiql.min.js',
  style: 'graphiql/graphiql.min.css',
}

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Mailfold: GraphiQL</title>
<link rel="stylesheet" href="/graphiql/assets/style">
<style>body{margin:0}#graphiql{height:100vh}form{font:16px system-ui;margin:4em auto;max-width:36em}input{width:100%;font:inherit;margin:.5em 0}</style>
</head>
<body>
<div id="graphiql"><form><label>Bearer token (see the file <code>token</code> in the data folder)<input name="token" type="password" autocomplete="off" autofocus></label><button>Open</button></form></div>
<script src="/graphiql/assets/react"></script>
<script src="/graphiql/assets/react-dom"></script>
<script src="/graphiql/assets/graphiql"></script>
<script src="/graphiql/assets/page"></script>
</body>
</html>`

// The token stays in the page's memory and session: it is in no URL, no log and no file.
const SCRIPT = `
const open = (token) => {
  sessionStorage.setItem('mailfold-token', token)
  const fetcher = GraphiQL.createFetcher({
    url: '/graphql',
    headers: { authorization: 'Bearer ' + token },
    subscriptionUrl: location.origin.replace('http', 'ws') + '/graphql',
    wsConnectionParams: { authorization: 'Bearer ' + token },
  })
  const defaultQuery = '{\\n  accounts {\\n    id\\n    connection { state since }\\n    mailboxes { path messageCount unreadCount }\\n    messages(first: 10) { nodes { internalDate subject from { name address } } }\\n  }\\n}\\n'
  ReactDOM.createRoot(document.getElementById('graphiql')).render(React.createElement(GraphiQL, { fetcher, defaultQuery }))
}
const known = sessionStorage.getItem('mailfold-token')
if (known) open(known)
else document.querySelector('form').addEventListener('submit', (event) => { event.preventDefault(); open(event.target.token.value) })
`

/** Serves GraphiQL at /graphiql. The page is for everybody; what it asks the API needs the token. */
export async function serveGraphiql(fastify: FastifyInstance): Promise<void> {
  await fastify.register(fastifyStatic, { root: dirname(require.resolve('graphql/package.json')), serve: false })
  fastify.get('/graphiql', (_, reply) => reply.type('text/html').send(PAGE))
  fastify.get('/graphiql/assets/page', (_, reply) => reply.type('text/javascript').send(SCRIPT))
  for (const [name, file] of Object.entries(ASSETS)) {
    const [packageName = '', ...rest] = file.split('/')
    const root = dirname(require.resolve(`${packageName}/package.json`))
    fastify.get(`/graphiql/assets/${name}`, (_, reply) => reply.sendFile(join(...rest), root))
  }
}
