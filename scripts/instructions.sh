#!/usr/bin/env bash
# Counts instructions per row of some workloads (benches/instructions.rs) with callgrind, and compares
# them with benches/instructions.txt: more than 5 % more is a failure.
#
#   scripts/instructions.sh           compare
#   scripts/instructions.sh --save    write the counts down
#
# Counts depend on the compiler, so they are compared only with those of the same version of rustc.
# Exit codes: 0 all is well, 1 some workload takes more, 3 nothing could be compared.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

table=benches/instructions.txt
version=$(rustc --version | cut -d' ' -f2)-$(uname -m)
command -v valgrind >/dev/null || { echo "valgrind is not installed" >&2; exit 3; }
if [ "${1:-}" != --save ] && ! grep -q "^# rustc $version$" "$table" 2>/dev/null; then
  echo "$table has no counts for rustc $version; --save writes them" >&2
  exit 3
fi

program=$(cargo bench -q -p tiderace-operators --bench instructions --no-run --message-format json |
  grep -o '"executable":"[^"]*instructions-[^"]*"' | tail -n 1 | cut -d'"' -f4)

# The instructions of a run.
count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
    grep -o 'Collected : [0-9]*' | cut -d' ' -f3
}

few=40000 many=120000 failed=0
[ "${1:-}" != --save ] || echo "# rustc $version" > "$table"
for name in $("$program"); do
  per_row=$((($(count "$name" $many) - $(count "$name" $few)) / (many - few)))
  if [ "${1:-}" = --save ]; then
    printf '%-24s%8d\n' "$name" "$per_row" | tee -a "$table"
    continue
  fi
  before=$(awk -v name="$name" '$1 == name { print $2 }' "$table")
  verdict=ok
  if [ -z "$before" ]; then
    verdict="not in $table" failed=1
  elif [ $((per_row * 100)) -gt $((before * 105)) ]; then
    verdict="MORE THAN 5 % MORE" failed=1
  fi
  printf '%-24s%8d instructions a row, %8s before  %s\n' "$name" "$per_row" "${before:-none}" "$verdict"
done
exit $failed
