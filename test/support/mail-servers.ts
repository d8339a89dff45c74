import { Cyrus } from './cyrus.ts'
import { Dovecot } from './dovecot.ts'
import type { MailServer } from './imap-server.ts'

/** What each user has room for where a test asks for a quota, in KiB. */
const QUOTA = 50

const RIGHTS_AND_QUOTA = `
  protocol imap {
    mail_plugins = acl quota
  }
  plugin {
    acl = vfile
    quota = count:User quota
    quota_vsizes = yes
    quota_rule = *:storage=${QUOTA}K
  }`

/** The makes of server that the disconnected model is tried on. */
export const SERVERS: readonly { name: string; start: (hasQuota?: boolean) => Promise<MailServer> }[] = [
  { name: 'Dovecot', start: (hasQuota = false) => Dovecot.start(hasQuota ? RIGHTS_AND_QUOTA : '') },
  { name: 'Cyrus', start: (hasQuota = false) => Cyrus.start(hasQuota ? QUOTA : 0) },
]

/** Whether everything is tried, which takes long. */
export const EVERYTHING = process.env['MAILFOLD_CASES'] === 'all'

/**
 * What servers of a make lack in one of several cases, by its number: nothing on Dovecot, one thing after the other on Cyrus; where
 * everything is tried, each.
 */
export function lackingOn(server: string, index: number): readonly (readonly string[])[] {
  if (EVERYTHING) return LACKING
  return [server === 'Dovecot' ? [] : (LACKING[index % LACKING.length] ?? [])]
}

/** What servers may lack, each by itself; QRESYNC stands on CONDSTORE. */
export const LACKING: readonly (readonly string[])[] = [
  [],
  ['QRESYNC'],
  ['QRESYNC', 'CONDSTORE'],
  ['UIDPLUS'],
  ['MOVE'],
  ['LIST-STATUS'],
]
