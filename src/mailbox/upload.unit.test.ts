import { changedBeforeExpunge } from './upload-results.js'

test('what a message has got since it was looked at keeps it from being expunged, but for the mark before that', () => {
  const known = [
    { uid: 7, flags: ['\\Seen'] },
    { uid: 8, flags: [] },
    { uid: 9, flags: ['\\Flagged'] },
    { uid: 12, flags: ['work'] },
    { uid: 13, flags: [] },
  ]
  const reports = [
    { uid: 7, flags: ['\\Deleted', '\\Seen'] },
    { uid: 8, flags: ['\\Deleted', '\\Flagged'] },
    { uid: 9, flags: ['\\Deleted'] },
    { uid: 12, flags: ['\\Deleted', 'Work'] },
  ]
  expect(changedBeforeExpunge(known, reports)).toEqual([8, 9])
})
