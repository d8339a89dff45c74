import { Command, CommanderError, Option } from 'commander'
import { constants } from 'node:os'
import { EXIT } from '../platform/exit-codes.js'
import { describeSettings, unknownSettings } from '../platform/settings.js'
import { ApiFailure } from './api-client.js'
import { sayFailure } from './say-failure.js'

const FOLLOWS = `
Settings (environment variables):
${describeSettings()}
`

const EXIT_HELP = `
Exit codes:
   0  done, and for check and verify: nothing differs
   1  check, verify, restore: something differs, is damaged, or could not be compared
  64  wrong command, option or argument
  65  a file that was given does not hold what it should
  66  what was named is not there: a file, an account, a mailbox
  69  the service, the database or a mail server cannot be used now
  70  a fault of Mailfold itself
  73  what should be written cannot be made, or is there already
  77  not permitted: a login, the token, a right on this machine
  78  a setting that cannot be used
`

/** Commands that talk to a running service find it, and its token, by these. */
const CLIENT_HELP = `
Environment:
  MAILFOLD_URL    where the service is [http://127.0.0.1:MAILFOLD_PORT]
  MAILFOLD_TOKEN  its bearer token [the file "token" in MAILFOLD_DATA]
`

/** Commands that work on the database itself, beside the service or without it. */
const DATABASE_HELP = `
Environment:
  DATABASE_URL   the database [that in MAILFOLD_DATA, whether the service runs or not]
  MAILFOLD_DATA  the data folder of the service [./data]
`

/** Runs the command line. @returns the exit code, after one line on standard error that says why if it is not 0 */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode = 0
  // whoever reads what is printed may have enough of it, as head(1) has
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : sayFailure(Object.assign(error, { path: 'standard output' })))
  })
  const program = new Command('mailfold')
    .description('Mailbox sync service: IMAP4 and POP3 in, events and GraphQL out')
    .version('0.1.0')
  program.exitOverride()
  program.configureOutput({ outputError: (told, write) => write(told.replace(/^error: /, 'mailfold: ')) })
  program.addHelpText('after', EXIT_HELP)
  program.hook('preAction', (_, command) => {
    // said also where another setting cannot be used: it may be the one that was meant
    for (const { name, nearest } of unknownSettings(process.env))
      process.stderr.write(`mailfold: ${name} is no setting and has no effect: the nearest is ${nearest}\n`)
    if (command.name() !== 'start') endOnSignals()
  })
  const json = new Option('--json', 'print JSON, one value a line')

  program
    .command('start')
    .description('run the service')
    .addOption(json)
    .addHelpText('after', FOLLOWS)
    .action(async (options: { json?: boolean }) => {
      const { start } = await import('./start.js')
      exitCode = await start(options)
    })

  program
    .command('connect')
    .description(
      'connect an account: imaps:// or pop3s://user@host, imap:// or pop3:// (STARTTLS), and follow its first sync',
    )
    .argument('<url>', 'the mail server; a user name with an @ in it is written with %40')
    .requiredOption('--model <model>', 'how to work with it: offline, online or disconnected')
    .option(
      '--password-env <name>',
      'environment variable that holds the password; else it is asked for, or read from standard input',
    )
    .option('--trust-certificate <sha256>', 'trust the one certificate that has this fingerprint, whoever signed it')
    .option('--plaintext', 'connect without TLS (only to this machine, unless the operator allows more)')
    .option('--xoauth2', 'log in with an OAuth 2.0 access token, given in the place of the password')
    .option('--no-wait', 'do not follow the first sync')
    .addOption(json)
    .addHelpText('after', CLIENT_HELP)
    .action(async (url: string, options: import('./connect.js').ConnectOptions) => {
      const { connect } = await import('./connect.js')
      exitCode = await connect(url, options)
    })

  program
    .command('accounts')
    .description('list the accounts')
    .addOption(json)
    .addHelpText('after', CLIENT_HELP)
    .action(async (options: { json?: boolean }) => {
      const { listAccounts } = await import('./accounts.js')
      await listAccounts(options)
    })

  program
    .command('tail')
    .description("print an account's events, or those of all accounts, as they come")
    .argument('[account]', 'its id; may be left out when there is only one')
    .option('--all', 'all accounts, in one order')
    .option('--after <cursor>', 'begin right after this cursor; "start" for the first event of all')
    .addOption(json)
    .addHelpText('after', CLIENT_HELP)
    .action(async (account: string | undefined, options: import('./tail.js').TailOptions) => {
      const { tail } = await import('./tail.js')
      await tail(account, options)
    })

  program
    .command('export')
    .description('write mail into a file (mbox, zip of .eml) or a folder (maildir)')
    .argument('<target>', 'the file, or folder; it must not be there yet; "-" for standard output')
    .addOption(new Option('--format <format>', 'what to write').choices(['mbox', 'maildir', 'zip']).default('mbox'))
    .option('--account <id>', 'of which account; may be left out when there is only one')
    .option('--mailbox <path>', 'of one mailbox only')
    .option('--from <text>', 'part of the sender')
    .option('--subject <text>', 'part of the subject')
    .option('--since <time>', 'INTERNALDATE at this time or later (ISO 8601)')
    .option('--before <time>', 'INTERNALDATE before this time')
    .option('--unread', 'without \\Seen only')
    .option('--flagged', 'with \\Flagged only')
    .addOption(json)
    .addHelpText('after', CLIENT_HELP)
    .action(async (target: string, options: import('./transfer.js').ExportOptions) => {
      const { exportMail } = await import('./transfer.js')
      exitCode = await exportMail(target, options)
    })

  program
    .command('import')
    .description('put the mail of an mbox or a Maildir into an OFFLINE account; what is there already is passed over')
    .argument('<source>', 'the file, or the folder of a Maildir')
    .option('--account <id>', 'into which account; may be left out when there is only one')
    .option('--mailbox <path>', 'into which mailbox, where the file tells none', 'INBOX')
    .addOption(json)
    .addHelpText('after', CLIENT_HELP)
    .action(async (source: string, options: import('./transfer.js').ImportOptions) => {
      const { importMail } = await import('./transfer.js')
      exitCode = await importMail(source, options)
    })

  program
    .command('migrate')
    .description('bring the database up to this version, before processes of it start')
    .addOption(json)
    .addHelpText('after', DATABASE_HELP)
    .action(async (options: { json?: boolean }) => {
      const { migrate } = await import('./bring-up-to-date.js')
      await migrate(options)
    })

  program
    .command('shards')
    .description('say how many shards the accounts are divided into and which processes hold them, or change how many')
    .argument('[count]', 'how many there are to be from now on; the service may go on meanwhile')
    .addOption(json)
    .addHelpText('after', DATABASE_HELP)
    .action(async (count: string | undefined, options: { json?: boolean }) => {
      const { shards } = await import('./shards.js')
      await shards(count, options)
    })

  program
    .command('rotate-key')
    .description('seal all credentials with a new master key; cut off, it is gone on with when it is run again')
    .option('--beside', 'while the service runs, each of whose processes was started with both keys')
    .option('--lost', 'the key is lost: take the present one for good, and ask for new credentials of each account')
    .addOption(json)
    .addHelpText('after', DATABASE_HELP)
    .action(async (options: import('./rotate-key.js').RotateOptions) => {
      const { rotateKey } = await import('./rotate-key.js')
      await rotateKey(options)
    })

  program
    .command('db')
    .description('work on the database')
    .command('copy')
    .description(
      'copy the log to an empty database, and fold all tables there: to move from the embedded Postgres to your own',
    )
    .argument('<url>', 'the database to copy to, postgres://…')
    .addOption(json)
    .addHelpText('after', DATABASE_HELP)
    .action(async (url: string, options: { json?: boolean }) => {
      const { copyDatabase } = await import('./db-copy.js')
      await copyDatabase(url, options)
    })

  program
    .command('backup')
    .description('copy log and blobs into a new folder, while the service goes on; the keys are not among it')
    .argument('<folder>', 'where to; it must not be there yet')
    .addOption(json)
    .addHelpText('after', DATABASE_HELP)
    .action(async (folder: string, options: { json?: boolean }) => {
      const { backup } = await import('./backup.js')
      exitCode = await backup(folder, options)
    })

  program
    .command('restore')
    .description('put a backup into a new data folder, or an empty database, and fold all tables from its log')
    .argument('<folder>', 'the backup')
    .addOption(json)
    .addHelpText('after', DATABASE_HELP)
    .action(async (folder: string, options: { json?: boolean }) => {
      const { restore } = await import('./backup.js')
      exitCode = await restore(folder, options)
    })

  program
    .command('check')
    .description('compare what is recorded of an account, or of all, with its server; 1 if anything differs')
    .argument('[account]', 'its id; all accounts where it is left out')
    .addOption(json)
    .addHelpText('after', DATABASE_HELP)
    .action(async (account: string | undefined, options: { json?: boolean }) => {
      const { check } = await import('./check.js')
      exitCode = await check(account, options)
    })

  const commands = {
    verify: "fold an account's log again, or that of all, and report each row that differs; 1 if any does",
    rebuild: "fold an account's log again, or that of all, and put right what differs, while the service goes on",
  }
  for (const [command, description] of Object.entries(commands)) {
    const defined = program
      .command(command)
      .description(description)
      .argument('[account]', 'its id; all accounts where it is left out')
      .addOption(json)
      .addHelpText('after', DATABASE_HELP)
    if (command === 'verify')
      defined.option('--blobs', 'compare the raw messages that are kept with what refers to them instead')
    defined.action(async (account: string | undefined, options: { json?: boolean; blobs?: boolean }) => {
      if (options.blobs) {
        if (account !== undefined) throw new ApiFailure('--blobs compares those of all accounts: give none', EXIT.USAGE)
        const { verifyBlobs } = await import('./verify-blobs.js')
        exitCode = await verifyBlobs(options)
        return
      }
      const { foldAgain } = await import('./fold-again.js')
      exitCode = await foldAgain(command as 'verify' | 'rebuild', account, options)
    })
  }

  try {
    await program.parseAsync([...argv])
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.USAGE
    const { endProgressBars } = await import('./progress-bar.js')
    endProgressBars()
    return sayFailure(error)
  }
  return exitCode
}

/** A command ends at once, with the exit code that shells expect; what must not stay is removed at the exit. The service has its own way to stop. */
function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => process.exit(128 + constants.signals[signal]))
}
