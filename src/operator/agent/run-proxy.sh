#!/bin/sh
# run-proxy BLUE GREEN PROXY (their ports): becomes the Caddy in front of the slots. Whoever keeps it alive starts it again
# when it ends; a restart changes nothing about who is live.
unset CDPATH
cd "$(dirname "$0")/.." || exit 1
FRAME_HOME=$(pwd -P) FRAME_BLUE_PORT=$1 FRAME_GREEN_PORT=$2 FRAME_PROXY_PORT=$3
# Daemons have no HOME to speak of, and Homebrew is not in their PATH.
PATH=$PATH:/opt/homebrew/bin:/usr/local/bin XDG_DATA_HOME=$FRAME_HOME/state XDG_CONFIG_HOME=$FRAME_HOME/state
export FRAME_HOME FRAME_BLUE_PORT FRAME_GREEN_PORT FRAME_PROXY_PORT PATH XDG_DATA_HOME XDG_CONFIG_HOME
# A stand-in serves for the moment in which the real one is started again.
if [ -z "$FRAME_STAND_IN" ]; then
  # A full disk is no reason to stay away.
  { echo $$ >"proxy/pid.$$" && mv "proxy/pid.$$" proxy/pid; } || rm -f "proxy/pid.$$"
fi
exec caddy run --config proxy/Caddyfile --adapter caddyfile
