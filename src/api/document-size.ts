import { GraphQLError, Kind, type DocumentNode, type FragmentDefinitionNode, type SelectionSetNode } from 'graphql'

/** Most selections of a document, with every fragment counted wherever it is spread. */
export const MOST_SELECTIONS = 5_000
/** Most levels of fields below each other. */
export const MOST_LEVELS = 50
/** Most comparisons that the rule "overlapping fields can be merged" may make (GraphQL §5.3.2). */
export const MOST_COMPARISONS = 20_000
/** What it takes to compare two fragments, in comparisons of two fields. */
const FRAGMENT_COMPARISON = 5

/** How large a document is with its fragments expanded; `isCyclic` where that has no end. */
export type DocumentSize = { selections: number; levels: number; isCyclic: boolean }

/** The error for an operation that is not run because it could take too much. */
export function tooExpensive(message: string, more: Record<string, unknown> = {}): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'TOO_EXPENSIVE', ...more } })
}

/**
 * Measures a document before anything expands it. Each fragment is measured once, so the time is linear in the document, however often its
 * fragments spread each other.
 *
 * @throws GraphQLError TOO_EXPENSIVE for a document that would take too long to validate
 */
export function measureDocument(document: DocumentNode): DocumentSize {
  const expansion = new Expansion(document)
  const size = expansion.size()
  if (size.isCyclic) return size
  if (size.selections > MOST_SELECTIONS)
    throw tooExpensive(`A document may have ${MOST_SELECTIONS} selections, with its fragments expanded.`)
  if (size.levels > MOST_LEVELS) throw tooExpensive(`A document may have ${MOST_LEVELS} levels of fields.`)
  if (expansion.comparisons() > MOST_COMPARISONS)
    throw tooExpensive('The document selects too many fields, or spreads too many fragments, in one place.')
  return size
}

/** Selections that stand in one place of an answer: those of one response name are compared with each other. */
type Place = { spreads: number; fields: Map<string, { count: number; below: Place }> }

class Expansion {
  private readonly fragments = new Map<string, FragmentDefinitionNode>()
  private readonly sizes = new Map<string, DocumentSize>()
  private readonly measuring = new Set<string>()

  constructor(private readonly document: DocumentNode) {
    for (const definition of document.definitions)
      if (definition.kind === Kind.FRAGMENT_DEFINITION) this.fragments.set(definition.name.value, definition)
  }

  /** The size of all operations, and of fragments that none of them uses. */
  size(): DocumentSize {
    const sizes = this.document.definitions
      .filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
      .map(({ selectionSet }) => this.sizeOf(selectionSet))
    for (const name of this.fragments.keys()) if (!this.sizes.has(name)) sizes.push(this.sizeOfFragment(name))
    return sum(sizes)
  }

  /** How many pairs of selections stand in one place. To be asked only of a document whose size is bounded. */
  comparisons(): number {
    const spread = new Set<string>()
    let pairs = 0
    const place = (selectionSet: SelectionSetNode) => {
      const root: Place = { spreads: 0, fields: new Map() }
      this.collect(selectionSet, root, spread)
      pairs += pairsIn(root)
    }
    for (const definition of this.document.definitions)
      if (definition.kind === Kind.OPERATION_DEFINITION) place(definition.selectionSet)
    for (const [name, { selectionSet }] of this.fragments) if (!spread.has(name)) place(selectionSet)
    return pairs
  }

  private collect({ selections }: SelectionSetNode, place: Place, spread: Set<string>): void {
    for (const selection of selections) {
      if (selection.kind === Kind.INLINE_FRAGMENT) this.collect(selection.selectionSet, place, spread)
      else if (selection.kind === Kind.FRAGMENT_SPREAD) {
        place.spreads++
        spread.add(selection.name.value)
        const fragment = this.fragments.get(selection.name.value)
        if (fragment) this.collect(fragment.selectionSet, place, spread)
      } else {
        const name = (selection.alias ?? selection.name).value
        const field = place.fields.get(name) ?? { count: 0, below: { spreads: 0, fields: new Map() } }
        place.fields.set(name, field)
        field.count++
        if (selection.selectionSet) this.collect(selection.selectionSet, field.below, spread)
      }
    }
  }

  private sizeOf({ selections }: SelectionSetNode): DocumentSize {
    return sum(
      selections.map((selection) => {
        const below =
          selection.kind === Kind.FRAGMENT_SPREAD
            ? this.sizeOfFragment(selection.name.value)
            : selection.selectionSet
              ? this.sizeOf(selection.selectionSet)
              : NOTHING
        const level = selection.kind === Kind.FIELD ? 1 : 0
        return { ...below, selections: below.selections + 1, levels: below.levels + level }
      }),
    )
  }

  private sizeOfFragment(name: string): DocumentSize {
    const known = this.sizes.get(name)
    if (known) return known
    const fragment = this.fragments.get(name)
    if (!fragment) return NOTHING
    if (this.measuring.has(name)) return { ...NOTHING, isCyclic: true }
    this.measuring.add(name)
    const size = this.sizeOf(fragment.selectionSet)
    this.measuring.delete(name)
    this.sizes.set(name, size)
    return size
  }
}

const NOTHING: DocumentSize = { selections: 0, levels: 0, isCyclic: false }

function sum(sizes: readonly DocumentSize[]): DocumentSize {
  return sizes.reduce(
    (all, size) => ({
      selections: all.selections + size.selections,
      levels: Math.max(all.levels, size.levels),
      isCyclic: all.isCyclic || size.isCyclic,
    }),
    NOTHING,
  )
}

function pairsIn({ spreads, fields }: Place): number {
  let pairs = FRAGMENT_COMPARISON * pairsOf(spreads)
  for (const { count, below } of fields.values()) pairs += pairsOf(count) + pairsIn(below)
  return pairs
}

function pairsOf(count: number): number {
  return (count * (count - 1)) / 2
}
