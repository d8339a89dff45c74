import { registerEnumType } from '@nestjs/graphql'

export enum ConnectionRemedyEnum {
  RETRIES_BY_ITSELF = 'RETRIES_BY_ITSELF',
  WAIT = 'WAIT',
  CHANGE_CREDENTIALS = 'CHANGE_CREDENTIALS',
  CHANGE_SETTINGS = 'CHANGE_SETTINGS',
  ASK_MAIL_PROVIDER = 'ASK_MAIL_PROVIDER',
  FREE_DISK_SPACE = 'FREE_DISK_SPACE',
  CHECK_DATABASE = 'CHECK_DATABASE',
  CHECK_BLOB_STORE = 'CHECK_BLOB_STORE',
  REPORT_BUG = 'REPORT_BUG',
}
registerEnumType(ConnectionRemedyEnum, {
  name: 'ConnectionRemedy',
  description:
    'What a person can do about what keeps an account from being worked on (docs/troubleshooting.md). Whatever it is, the work is tried again by itself, but after CHANGE_CREDENTIALS of a refused login.',
  valuesMap: {
    RETRIES_BY_ITSELF: {
      description: 'Nothing: the mail server, or the network, is tried again at growing intervals.',
    },
    WAIT: { description: 'Nothing: the server asked for a pause, and is tried again at `throttledUntil`.' },
    CHANGE_CREDENTIALS: { description: 'Give the account credentials that work: `changeCredentials`.' },
    CHANGE_SETTINGS: {
      description:
        'Change the settings of the server (its certificate, TLS) or of Mailfold (MAILFOLD_TLS_CA, MAILFOLD_MAIL_HOSTS, MAILFOLD_ALLOW_PLAINTEXT).',
    },
    ASK_MAIL_PROVIDER: { description: 'Ask whoever runs the mail server: it refuses a command that has to work.' },
    FREE_DISK_SPACE: { description: 'Free space on the disk that `reason` names, or make it larger.' },
    CHECK_DATABASE: { description: 'See that the database runs, can be reached, and is not damaged.' },
    CHECK_BLOB_STORE: {
      description: 'See that the blob store can be reached and used: the S3, or the folder `blobs`.',
    },
    REPORT_BUG: { description: 'Report a bug of Mailfold, with the lines of the log that have the `failureId`.' },
  },
})
