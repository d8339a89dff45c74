/** Shorter secrets are hidden as whole words only: hiding each letter "a" of a text would leave none of it. */
const SHORTEST = 4
const HIDDEN = '[withheld]'

/** Keeps what was sent to a server as a secret out of whatever the server says: some repeat the command that they refuse. */
export class SecretsTold {
  private readonly forms: readonly string[]

  /**
   * @param secrets passwords and tokens, and what was made of them to be sent (a SASL response, a digest); each is looked for as it is, quoted as in a
   *   command, and in the encodings in which a server may repeat it
   */
  constructor(secrets: readonly string[]) {
    const forms = new Set(secrets.filter((secret) => secret !== '').flatMap(formsOf))
    // the longest first: a form may be a part of another one
    this.forms = [...forms].sort((one, other) => other.length - one.length)
  }

  /** The text without any of the secrets. */
  hide(text: string): string {
    return this.forms.reduce(hideForm, text)
  }
}

/** The secrets of a login: the secret itself, and what SASL PLAIN and XOAUTH2 make of it (RFC 4616, XOAUTH2). */
export function loginSecrets(username: string, secret: string): string[] {
  return [secret, `\u0000${username}\u0000${secret}`, `user=${username}\u0001auth=Bearer ${secret}\u0001\u0001`]
}

function hideForm(text: string, form: string): string {
  if (form.length >= SHORTEST) return replaceInAnyCase(text, form)
  const escaped = form.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return text.replace(new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, 'giu'), HIDDEN)
}

/** A server may have changed the case of what it repeats. */
function replaceInAnyCase(text: string, form: string): string {
  const wanted = form.toLowerCase()
  const lower = text.toLowerCase()
  // where lower case has another length, places in it are none in the text
  if (lower.length !== text.length) return text.replaceAll(form, HIDDEN)
  let hidden = ''
  let from = 0
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    hidden += text.slice(from, at) + HIDDEN
    from = at + form.length
  }
  return hidden + text.slice(from)
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  // as base64 of something longer that holds it: by where in a group of three bytes it begins, without the ends that depend on what stands beside it
  const inside = [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    return encoded.slice(shift === 0 ? 0 : shift + 1, encoded.length - (((bytes.length + shift) * 4) % 3 === 0 ? 0 : 1))
  })
  return [
    secret,
    bytes.toString('latin1'),
    secret.replace(/(["\\])/g, '\\$1'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    encodeURIComponent(secret.toWellFormed()),
    JSON.stringify(secret).slice(1, -1),
    ...inside.filter((form) => form.length >= 8),
  ].filter((form) => form !== '')
}
