import fc from 'fast-check'
import { loginSecrets, SecretsTold } from './secrets-told.js'

const secret = fc.string({ minLength: 4, maxLength: 40, unit: 'binary' }).filter((text) => text.isWellFormed())
const around = fc.string({ maxLength: 20 })

const ENCODINGS: Record<string, (secret: string) => string> = {
  'as it is': (text) => text,
  quoted: (text) => text.replace(/(["\\])/g, '\\$1'),
  'in base64': (text) => Buffer.from(text).toString('base64'),
  'in hexadecimal': (text) => Buffer.from(text).toString('hex'),
  'in a URL': (text) => encodeURIComponent(text),
  'as SASL PLAIN': (text) => Buffer.from(`\u0000ann\u0000${text}`).toString('base64'),
  'as XOAUTH2': (text) => Buffer.from(`user=ann\u0001auth=Bearer ${text}\u0001\u0001`).toString('base64'),
}

test.each(Object.entries(ENCODINGS))(
  'hostile-servers: a secret that a server repeats %s is told nowhere',
  (_, encode) => {
    fc.assert(
      fc.property(secret, around, around, (password, before, after) => {
        const told = encode(password)
        const hidden = new SecretsTold(loginSecrets('ann', password)).hide(`${before} ${told} ${after}`)
        // what stands around it may hold it by chance
        fc.pre(!`${before}  ${after}`.includes(told) && !'[withheld]'.includes(told.toLowerCase()))
        expect(hidden).not.toContain(told)
      }),
    )
  },
)

test('hostile-servers: a secret inside of a longer base64 is hidden wherever it begins', () => {
  const hide = new SecretsTold(loginSecrets('ann', 'correct-horse-battery'))
  for (const before of ['', 'a', 'ab', 'abc']) {
    const encoded = Buffer.from(`${before}correct-horse-battery and more`).toString('base64')
    const found = Buffer.from(hide.hide(encoded).replaceAll('[withheld]', ''), 'base64').toString('latin1')
    expect(found).not.toContain('horse')
  }
})

test('what is no secret stays as it is, and a short secret is hidden as a word only', () => {
  const hide = new SecretsTold(loginSecrets('ann', 'a'))
  expect(hide.hide('NO that is a bad password')).toBe('NO that is [withheld] bad password')
  expect(new SecretsTold(loginSecrets('ann', 'correct-horse')).hide('[AUTHENTICATIONFAILED] no')).toBe(
    '[AUTHENTICATIONFAILED] no',
  )
  expect(new SecretsTold(['']).hide('anything')).toBe('anything')
})
