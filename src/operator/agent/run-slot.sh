#!/bin/sh
# run-slot SLOT PORT: waits while the slot is held, then becomes its gateway. Whoever keeps it alive (launchd, systemd)
# only starts it again when it ends: to stop a slot is to hold it and to end its process; no rights are needed for that.
slot=$1 port=$2
unset CDPATH
cd "$(dirname "$0")/.." || exit 1
home=$(pwd -P)
# Before the look at `hold`: who holds the slot afterwards finds this process here, whatever it does by then.
# A full disk is no reason to stay away: then nobody can hold it, and it serves.
{ echo $$ >"slots/$slot/pid.$$" && mv "slots/$slot/pid.$$" "slots/$slot/pid"; } || rm -f "slots/$slot/pid.$$"
while [ -e "slots/$slot/hold" ] || [ ! -e "slots/$slot/release/src/main.ts" ]; do sleep 0.2; done
# The release itself, not the link: what this process loads later must not come from the next one.
release=$(cd "slots/$slot/release" && pwd -P) || exit 1
export FRAME_SLOT="$slot" FRAME_LISTEN="127.0.0.1:$port" FRAME_DATA="$home/state/data"
export FRAME_CONFIG="$release/config" FRAME_CUSTOMERS="$home/shared/customers.yaml"
export FRAME_MASTER_KEY_FILE="$home/shared/master.key"
touch "slots/$slot/began" || :
exec "$release/node_modules/.bin/node" --env-file="$home/shared/env" "$release/src/main.ts" serve
