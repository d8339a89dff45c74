/* Mail servers that are broken or hostile in what they say of their mailboxes and messages: what each may cost, and what an operator is told of it. */
import { DATE, HostileServers, message } from './support/hostile-servers.ts'
import { honest, type Script } from './support/scripted-imap.ts'
import { mailfold, until } from './support/service.ts'

const hostile = new HostileServers()

beforeAll(() => hostile.start())

afterAll(() => hostile.stop())

describe('hostile-servers: what a server claims to have', () => {
  test('4,294,967,295 messages, named in a few bytes: refused, shown, and forgotten', async () => {
    const of = await hostile.connected((command, say) => {
      if (/^CAPABILITY/i.test(command)) say('* CAPABILITY IMAP4rev1 IDLE ESEARCH')
      else if (/^(SELECT|EXAMINE)/i.test(command)) {
        honest(command, say)
        say('* 4294967295 EXISTS')
      } else if (/^UID SEARCH/i.test(command)) say('* ESEARCH (TAG "x") UID ALL 1:4294967294')
      else return honest(command, say)
      return 'OK done'
    })
    await hostile.bounded(of, { events: 10, commands: 100, logLines: 10 }, async () => {
      await until(async () => (await of.inbox())?.problem?.kind === 'REFUSED')
      await of.checks(3)
    })
    expect((await of.inbox())?.problem?.message).toContain('more messages')
    expect((await of.state()).progress).toEqual({ done: 0, isComplete: true })
    await of.end()
  })

  test('messages that it counts and does not list, in whatever way it answers the search: never called complete', async () => {
    const countsMore = async (answer: string) => {
      const of = await hostile.connected((command, say) => {
        if (/^UID SEARCH ALL/i.test(command)) {
          say(answer)
          return 'OK done'
        }
        // it brings the second message only, whatever is asked for
        if (/^UID FETCH/i.test(command)) {
          say(/HEADER\.FIELDS/i.test(command) ? message(2) : `* 2 FETCH (UID 2 FLAGS ())`)
          return 'OK done'
        }
        return honest(command, say, [message(1), message(2), message(3)])
      })
      await until(async () => (await of.inbox())?.problem?.kind !== undefined)
      expect((await of.inbox())?.problem).toMatchObject({
        kind: 'INCOMPLETE',
        message: expect.stringContaining('2 messages') as string,
      })
      await until(async () => (await of.uids()).join() === '2')
      const checked = await mailfold(['check', of.id], {
        ...hostile.service.clientEnvironment,
        MAILFOLD_DATA: hostile.service.folder,
      })
      expect([checked.code, checked.stdout]).toEqual([
        1,
        expect.stringContaining('counts 2 messages more than it lists'),
      ])
      return of
    }
    const cases = await Promise.all(
      ['* SEARCH', '* SEARCH total garbage', '* SEARCH {-1}', '* SEARCH 2'].map(countsMore),
    )
    await hostile.bounded(cases, { events: 0, commands: 160, logLines: 10 }, () =>
      Promise.all(cases.map((of) => of.checks(3))),
    )
    for (const of of cases) await of.end()
  })

  test('a search that gives only some of the messages: the others are there all the same', async () => {
    const messages = Array.from({ length: 30 }, (_, index) => message(index + 1))
    const of = await hostile.connected((command, say) => {
      if (/^UID SEARCH/i.test(command)) {
        say('* SEARCH 21 22 23 24 25 26 27 28 29 30')
        return 'OK done'
      }
      return honest(command, say, messages)
    })
    await hostile.service.synced(of.id)
    expect(await of.uids()).toHaveLength(30)
    expect((await of.inbox())?.problem).toBeNull()
    await of.end()
  })
})

describe('core 2: each message that a server has is in the index', () => {
  test('a new message whose answer cannot be parsed is there as unreadable, and is read when the server is well again', async () => {
    const messages = [message(1), message(2)]
    let isBroken = true
    let say: (line: string) => void = () => undefined
    const of = await hostile.connected((command, tell) => {
      say = tell
      const shown = messages.map((line, index) =>
        index === 3 && isBroken ? line.replace(/BODY\[[^]*/, 'BODY[HEADER.FIELDS (SUBJECT)] "fi\u0001(ne') : line,
      )
      // nothing that is asked of the fourth can be read
      if (/^UID FETCH/i.test(command) && isBroken) {
        shown.forEach((line, index) => {
          if (index !== 3)
            tell(
              /HEADER\.FIELDS/i.test(command)
                ? line
                : `* ${index + 1} FETCH (UID ${index + 1} FLAGS () ${DATE}RFC822.SIZE 10)`,
            )
          else tell('* 4 FETCH (UID 4 FLAGS (\\Seen) RFC822.SIZE "(((((')
        })
        return 'OK done'
      }
      return honest(command, tell, shown)
    })
    await hostile.service.synced(of.id)
    messages.push(message(3), message(4), message(5))
    say('* 5 EXISTS')
    await until(async () => (await of.uids()).length === 5)
    const unreadable = (await of.state()).messages.nodes.find(({ uid }) => uid === 4)
    expect(unreadable?.defects).toContain('UNREADABLE')
    const checked = await mailfold(['check', of.id], {
      ...hostile.service.clientEnvironment,
      MAILFOLD_DATA: hostile.service.folder,
    })
    expect(checked.stdout).toContain('UID 4 could not be read')
    isBroken = false
    of.server.cut()
    await until(async () => (await of.state()).messages.nodes.find(({ uid }) => uid === 4)?.defects.length === 0)
    expect(await of.uids()).toEqual([1, 2, 3, 4, 5])
    await of.end()
  })

  test.each([
    ['a control character', '\u0004'],
    ['a quote', 'q"k'],
    ['a backslash inside', 'back\\slash'],
    ['a brace', '{brace'],
    ['a percent sign', 'p%c'],
    ['an asterisk', 's*r'],
    ['DEL', '\u007f'],
    ['a tab', 'a\tb'],
  ])('a flag that is none, with %s, costs its message the flag, and not its place', async (_, flag) => {
    const messages = [message(1), message(2, flag), message(3, '\\Seen'), message(4, flag), message(5)]
    const of = await hostile.connected((command, say) => {
      if (/^UID FETCH/i.test(command)) {
        messages.forEach((line) => {
          const some = /FLAGS/.test(command) ? line : line.replace(/FLAGS \(.*?\) INTERNALDATE/, 'INTERNALDATE')
          say(/HEADER\.FIELDS/i.test(command) ? some : some.replace(/ BODY\[[^]*/, ')'))
        })
        return 'OK done'
      }
      return honest(command, say, messages)
    })
    await hostile.service.synced(of.id)
    expect(await of.uids()).toEqual([1, 2, 3, 4, 5])
    const { messages: found } = await of.state()
    expect(found.nodes.find(({ uid }) => uid === 3)?.flags).toEqual(['\\Seen'])
    await of.end()
  })

  test('a server that gives no INTERNALDATE: every message is there, and says so', async () => {
    const messages = Array.from({ length: 7 }, (_, index) => message(index + 1, '', index % 5 === 0 ? '' : DATE))
    const of = await hostile.connected((command, say) => honest(command, say, messages))
    await hostile.service.synced(of.id)
    expect(await of.uids()).toHaveLength(7)
    const missing = (await of.state()).messages.nodes.filter(({ defects }) => defects.includes('DATE_MISSING'))
    expect(missing.map(({ uid }) => uid).sort()).toEqual([1, 6])
    await of.end()
  })

  test('a message that is listed and never brought is there as unreadable', async () => {
    const of = await hostile.connected((command, say) => {
      if (/^UID SEARCH/i.test(command)) {
        say('* SEARCH 1 2 3')
        return 'OK done'
      }
      if (/^(SELECT|EXAMINE)/i.test(command)) {
        honest(command, say, [message(1), message(2), message(3)])
        return 'OK done'
      }
      return honest(command, say, [message(1), message(2)])
    })
    await hostile.service.synced(of.id)
    expect(await of.uids()).toEqual([1, 2, 3])
    expect((await of.state()).messages.nodes.find(({ uid }) => uid === 3)?.defects).toContain('UNREADABLE')
    await of.end()
  })

  test('one message that the server refuses to bring costs no other its place', async () => {
    const messages = Array.from({ length: 30 }, (_, index) => message(index + 1))
    const of = await hostile.connected((command, say) => {
      const asked = /^UID FETCH (\S+) /i.exec(command)?.[1]
      if (!asked) return honest(command, say, messages)
      const wanted = uidsIn(asked)
      if (wanted.includes(17) && /HEADER|SIZE/.test(command)) return 'NO [SERVERBUG] Internal error occurred'
      for (const uid of wanted) if (uid <= 30) say(messages[uid - 1] ?? '')
      return 'OK done'
    })
    await hostile.service.synced(of.id)
    expect(await of.uids()).toHaveLength(30)
    expect(
      (await of.state()).messages.nodes.filter(({ defects }) => defects.includes('UNREADABLE')).map(({ uid }) => uid),
    ).toEqual([17])
    await of.end()
  })
})

/** The UIDs of a sequence set in which `*` is 30. */
function uidsIn(set: string): number[] {
  return set.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split(':').map((each) => (each === '*' ? 30 : Number(each)))
    return Array.from({ length: Math.abs(to - from) + 1 }, (_, index) => Math.min(from, to) + index)
  })
}

describe('a mailbox that cannot be used', () => {
  const withBad =
    (select: (say: (line: string) => void) => string): Script =>
    (command, say) => {
      if (/^(LIST|LSUB)/i.test(command) && /\*/.test(command)) {
        const kind = command.slice(0, 4).toUpperCase()
        for (const path of ['INBOX', 'Shared']) say(`* ${kind} () "/" ${path}`)
        return 'OK done'
      }
      if (/^STATUS "?Shared/i.test(command)) {
        say('* STATUS Shared (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)')
        return 'OK done'
      }
      if (/^(SELECT|EXAMINE) "?Shared/i.test(command)) return select(say)
      return honest(command, say, [message(1, '\\Seen')])
    }

  test.each([
    ['core 12: is refused', () => 'NO [NOPERM] Access denied', '[NOPERM] Access denied'],
    [
      'hostile-servers: has no UIDVALIDITY',
      (say: (line: string) => void) => (say('* 1 EXISTS'), 'OK [READ-WRITE] done'),
      'it gives the mailbox no UIDVALIDITY',
    ],
    [
      'hostile-servers: has junk for its UIDVALIDITY',
      (say: (line: string) => void) => (say('* OK [UIDVALIDITY junk] x'), say('* 1 EXISTS'), 'OK done'),
      'it gives the mailbox no UIDVALIDITY',
    ],
  ])(
    'one that %s is shown with the reason, holds up no other, and is tried again seldom',
    async (_, select, reason) => {
      const of = await hostile.connected(withBad(select))
      await hostile.service.synced(of.id)
      expect(await of.uids()).toEqual([1])
      const problemOf = async () => (await of.state()).mailboxes.find(({ path }) => path === 'Shared')?.problem
      expect(await problemOf()).toMatchObject({
        kind: 'REFUSED',
        message: expect.stringContaining(reason.replace('[NOPERM] ', '')) as string,
      })
      // the measure of its maildrop is an event
      await hostile.bounded(of, { events: 1, commands: 60, logLines: 5 }, () => of.checks(3))
      expect(of.asked(/^SELECT "?Shared/i)).toBeLessThanOrEqual(4)
      await of.end()
    },
  )

  test('hostile-servers: one whose name no text can hold costs the account no other mailbox', async () => {
    for (const name of ['"b\u0000d"', '"b\u00ffd"', '"&AAA-"']) {
      const of = await hostile.connected((command, say) => {
        if (/^(LIST|LSUB)/i.test(command) && /\*/.test(command)) {
          const kind = command.slice(0, 4).toUpperCase()
          for (const path of ['INBOX', name, 'Work']) say(`* ${kind} () "/" ${path}`)
          return 'OK done'
        }
        if (/^STATUS/i.test(command) && !/INBOX|Work/.test(command)) return 'NO what?'
        return honest(command, say, [message(1)])
      })
      await hostile.service.synced(of.id)
      expect((await of.state()).mailboxes.map(({ path }) => path)).toEqual(expect.arrayContaining(['INBOX', 'Work']))
      await of.end()
    }
  })
})
