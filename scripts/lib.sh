#!/usr/bin/env bash
# What the scripts that drive a running node share: the program, a node, cases and their closing line. Read with `source`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# The program: AYA names one that is built already, else the release build is brought up to date.
aya=${AYA:-}
if [ -z "$aya" ]; then
  cargo build --quiet --locked --release
  aya=$root/target/release/aya
fi
work=$(mktemp -d)
children=()
passed=0
failed=0

# Ends what this script started, and nothing else.
clean_up() {
  for child in "${children[@]}"; do
    kill "$child" 2>/dev/null || true
  done
  for child in "${children[@]}"; do
    wait "$child" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap clean_up EXIT

# start NAME COMMAND…: runs a command in the background, its output in $work/NAME.log; `last` is its process.
start() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  last=$!
  children+=("$last")
}

# stop PROCESS: ends one of ours and waits for it.
stop() {
  kill "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# until_true SECONDS COMMAND…: repeats a command until it succeeds.
until_true() {
  local deadline=$(($(date +%s) + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ "$(date +%s)" -ge "$deadline" ]; then
      return 1
    fi
    sleep 0.1
  done
}

# case_is NAME WANTED GOT: counts a case, and shows what it got when that is not what was wanted.
case_is() {
  if [ "$2" = "$3" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'FAILED %s\n  wanted: %s\n  got:    %s\n' "$1" "$2" "$3"
  fi
}

# The closing line; the exit code is 1 when a case failed, or none ran.
close() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
