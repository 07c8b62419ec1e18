#!/bin/sh
# rotate-logs: whoever writes a log has it open for appending and never opens it again, so a log that has grown is copied
# and emptied, not moved. Five copies are kept.
unset CDPATH
cd "$(dirname "$0")/../log" || exit 1
umask 077
for log in *.log; do
  [ "$(wc -c <"$log")" -gt 20000000 ] || continue
  # Whole before a good copy makes room for it: a disk may be full.
  if gzip -c "$log" >"$log.new.gz"; then
    for older in 4 3 2 1; do
      [ ! -e "$log.$older.gz" ] || mv "$log.$older.gz" "$log.$((older + 1)).gz"
    done
    mv "$log.new.gz" "$log.1.gz" && true >"$log"
  else
    rm -f "$log.new.gz"
  fi
done
# Provision looks whether it still comes round.
touch rotated
