/*
 * Where a server keeps mailboxes, by what their paths begin with (NAMESPACE, RFC 2342). One rule for paths:
 *
 *   told   always as the server names a mailbox, with the prefix
 *   taken  with a prefix as it is; else it is meant in the namespace of the user, and gets the prefix of that
 */

/** A namespace: what the paths of its mailboxes begin with, and what stands between their levels; null where it has none. */
export type NamespacePrefix = {
  /** empty where paths begin with the name of a mailbox */
  prefix: string
  /** what stands between the levels of a path; null where there are none */
  delimiter: string | null
}

/** The namespaces of a server, by whose mailboxes are in them. */
export type Namespaces = {
  /** of the user; new mailboxes go into the first */
  personal: readonly NamespacePrefix[]
  /** of other users, who have given access */
  otherUsers: readonly NamespacePrefix[]
  /** meant for several users */
  shared: readonly NamespacePrefix[]
}

/** A path with INBOX in capitals, also as the first of its levels: INBOX is the same in any case (RFC 9051 §5.1). */
export function canonicalPath(path: string, delimiter: string | null): string {
  const [first = path, ...below] = delimiter === null ? [path] : path.split(delimiter)
  return first.toUpperCase() === 'INBOX' ? ['INBOX', ...below].join(delimiter ?? '') : path
}

/**
 * The path on the server of a mailbox as a client names it. A path that is in no namespace is put into that of the user. An empty
 * prefix of other users or of shared mailboxes (Cyrus) does not count: everything would be in it.
 *
 * @param namespaces null where the server has not told them
 */
export function pathOnServer(wanted: string, delimiter: string | null, namespaces: Namespaces | null): string {
  const path = canonicalPath(wanted, delimiter)
  const [own] = namespaces?.personal ?? []
  if (!namespaces || !own || path === 'INBOX') return path
  const { personal, otherUsers, shared } = namespaces
  const foreign = [...otherUsers, ...shared].filter(({ prefix }) => prefix !== '')
  const isIn = ({ prefix }: NamespacePrefix) => path.startsWith(canonicalPath(prefix, delimiter))
  return personal.some(isIn) || foreign.some(isIn) ? path : canonicalPath(own.prefix, delimiter) + path
}
