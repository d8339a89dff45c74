import { Dovecot, PASSWORD } from './support/dovecot.ts'
import { variedMail } from './support/mail.ts'
import { fillMaildir } from './support/maildir.ts'
import { Service } from './support/service.ts'
const dovecot = await Dovecot.start()
const names: (string | null)[] = [null, ...Array.from({ length: 20 }, (_, index) => `Box ${index + 1}`)]
for (const [index, name] of names.entries())
  await fillMaildir(dovecot.mailOf('bench'), name, index === 0 ? 3340 : 333, (n) => variedMail(index * 1_000_000 + n))
for (let i = 0; i < 2; i++) {
  const service = await Service.start({
    NODE_OPTIONS: i === 1 ? '--cpu-prof --cpu-prof-dir=/tmp/prof' : '',
    MAILFOLD_CHECK_INTERVAL: '30000',
    MAILFOLD_LOG_LEVEL: 'info',
  })
  const t = performance.now()
  const id = await service.connect({
    host: '127.0.0.1',
    port: dovecot.imapPort,
    security: 'PLAINTEXT',
    username: 'bench',
    password: PASSWORD,
  })
  console.log('connected', performance.now() - t)
  for (;;) {
    const { account } = await service.ask<any>(
      'query ($id: ID!) { account(id: $id) { progress { done isComplete } } }',
      { id },
    )
    if (account.progress.isComplete) break
    await new Promise((r) => setTimeout(r, 50))
  }
  console.log('done', performance.now() - t)
  if (process.env.STAT) {
  }
  console.log(service.said())
  await service.stop()
}
await dovecot.stop()
process.exit(0)
