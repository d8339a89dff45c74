import { execFile } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import relayCompiler from 'relay-compiler'

const FOLDERS = ['test/frontend', 'test/frontend/relay']
const CONFIG = {
  src: './src',
  schema: './schema.graphql',
  language: 'javascript',
  artifactDirectory: './artifacts',
  eagerEsModules: false,
}

/**
 * Compiles the documents of test/frontend against schema.graphql with relay-compiler, which takes them from JavaScript modules only.
 *
 * @param folder an empty folder
 * @returns where the artifacts are, one NAME.graphql.js for each document
 * @throws Error with what relay-compiler has said, when it refuses schema or documents
 */
export async function compileForRelay(folder: string): Promise<string> {
  const [src, artifacts] = [join(folder, 'src'), join(folder, 'artifacts')]
  await Promise.all([mkdir(src), mkdir(artifacts)])
  await copyFile('schema.graphql', join(folder, 'schema.graphql'))
  await writeFile(join(folder, 'relay.config.json'), JSON.stringify(CONFIG))
  const expected: string[] = []
  for (const from of FOLDERS)
    for (const name of (await readdir(from)).filter((file) => file.endsWith('.graphql'))) {
      // relay-compiler takes the text as it stands, and a backtick for its end
      const text = (await readFile(join(from, name), 'utf8')).replaceAll('`', "'")
      await writeFile(join(src, `${basename(name, '.graphql')}.js`), `graphql\`${text}\`\n`)
      expected.push(`${name}.js`)
    }
  await promisify(execFile)(relayCompiler, ['relay.config.json'], { cwd: folder }).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => {
      throw new Error(`relay-compiler failed:\n${stdout}${stderr}`)
    },
  )
  const made = await readdir(artifacts)
  const missing = expected.filter((name) => !made.includes(name))
  if (missing.length > 0) throw new Error(`relay-compiler has not seen ${missing.join(', ')}`)
  return artifacts
}
