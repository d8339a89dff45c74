import { bounded, MOST_PARTS } from '../mailbox/message-bounds.js'
import { partsOf, type Defect, type Structure } from '../mailbox/message.js'
import { firstOf, parameterised } from './header-fields.js'
import type { MimePart, PartHead } from './mime-tree.js'

/**
 * What a tree says of the parts of its message.
 *
 * @param defects where it is noted that there are more parts than are kept
 */
export function structureOf(root: MimePart, defects: Set<Defect>): Structure {
  return shownPart(root, { left: MOST_PARTS }, defects)
}

/** The charset of the first text of a message that names one, in which its header may be written as well; null where none does. */
export function charsetIn(structure: Structure | null): string | null {
  return (
    partsOf(structure, false).find(({ part }) => part.type.startsWith('text/') && part.charset)?.part.charset ?? null
  )
}

function shownPart(part: MimePart, budget: { left: number }, defects: Set<Defect>): Structure {
  budget.left--
  const children: Structure[] = []
  for (const child of part.children) {
    if (budget.left <= 0) {
      defects.add('STRUCTURE_TRUNCATED')
      break
    }
    children.push(shownPart(child, budget, defects))
  }
  return {
    part: part.number || '1',
    size: part.type.value.startsWith('multipart/') ? null : part.end - part.start,
    ...described(part, defects),
    children,
  }
}

/** What a part's own header says of it. */
export function described(
  { fields, type, encoding }: PartHead,
  defects: Set<Defect>,
): Omit<Structure, 'part' | 'size' | 'children'> {
  const disposition = parameterised(firstOf(fields, 'content-disposition'))
  // RFC 2183 has the name in the one, and older mailers in the other
  const filename = disposition.params['filename'] ?? type.params['name']
  return {
    type: bounded(type.value, defects),
    encoding: bounded(encoding ?? undefined, defects) || null,
    charset: bounded(type.params['charset'], defects) || null,
    disposition: bounded(disposition.value, defects) || null,
    filename: filename ? bounded(filename, defects) : null,
    contentId: bounded(firstOf(fields, 'content-id') ?? undefined, defects) || null,
  }
}
