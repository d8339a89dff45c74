#!/usr/bin/env bash
# The committed schema is the one that the code makes, and clients can ask for all members of a union together.
set -euo pipefail
node .ci/print-schema.mjs > /tmp/mailfold-schema.$$
trap 'rm -f /tmp/mailfold-schema.$$' EXIT
if diff -u schema.graphql "/tmp/mailfold-schema.$$"; then echo 'schema.graphql is up to date'; else
  echo 'schema.graphql differs from the code: npm run schema'; exit 1
fi
node .ci/check-members.mjs schema.graphql
