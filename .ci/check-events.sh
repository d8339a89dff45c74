#!/usr/bin/env bash
# docs/events.md is what src/mailbox/events.ts says, and every shape of every event has its fixture.
set -euo pipefail
printed=$(mktemp --suffix=.md)
trap 'rm -f "$printed"' EXIT
node .ci/print-events.mjs | npx prettier --parser markdown > "$printed"
if diff -u docs/events.md "$printed"; then echo 'docs/events.md is up to date'; else
  echo 'docs/events.md differs from the code: npm run events'; exit 1
fi
