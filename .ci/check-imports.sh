#!/usr/bin/env bash
# Import rules between the folders of src/. A cruiser that read nothing also finds no violation: hence the floor.
set -euo pipefail
report=$(npx depcruise src --config .dependency-cruiser.cjs --output-type json) || true
node -e '
  const { summary } = JSON.parse(require("fs").readFileSync(0, "utf8"))
  for (const { rule, from, to } of summary.violations) console.log(`${rule.name}: ${from} -> ${to}`)
  console.log(`import rules: ${summary.totalCruised} modules read, ${summary.error} violations`)
  process.exit(summary.error > 0 || summary.totalCruised < 70 ? 1 : 0)
' <<< "$report"
