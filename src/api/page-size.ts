import { badInput } from './ids.js'

/** Most entries of one page. */
export const LARGEST_PAGE = 500

/** How many entries a page is to have: 50 where nobody says. @throws GraphQLError BAD_USER_INPUT for what is none */
export function pageSize(asked: number | null | undefined): number {
  const size = asked ?? 50
  if (size < 1 || size > LARGEST_PAGE) throw badInput(`A page has 1 to ${LARGEST_PAGE} entries.`)
  return size
}
