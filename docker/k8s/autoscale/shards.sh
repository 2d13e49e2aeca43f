#!/bin/sh
# Runs this pod's classifier with its share of the shards. The number of classifiers is that of the
# highest pod of the StatefulSet with an address. When it has permanently changed, the classifier
# restarts with its new share, while the standby answers.
set -u
number=${POD_NAME##*-}
classifier=
stopped=

count() {
  found=$((number + 1))
  other=$found
  while [ "$other" -lt "$SHARDS" ]; do
    if getent hosts "${POD_NAME%-*}-$other.classifier" >/dev/null; then found=$((other + 1)); fi
    other=$((other + 1))
  done
  echo "$found"
}

stop() {
  stopped=1
  [ -z "$classifier" ] || kill -TERM "$classifier" 2>/dev/null
}

ended() {
  # A signal interrupts the wait, not the classifier.
  wait "$classifier"
  code=$?
  while kill -0 "$classifier" 2>/dev/null; do wait "$classifier"; code=$?; done
  return "$code"
}

trap stop TERM INT
while [ -z "$stopped" ]; do
  of=$(count)
  emostream classifier "$@" --set "detector.shards=$SHARDS" --shard "$number/$of" &
  classifier=$!
  steady=0
  while [ -z "$stopped" ] && [ "$steady" -lt "$STEADY_S" ] && kill -0 "$classifier" 2>/dev/null; do
    sleep 1 &
    wait $!
    if [ "$(count)" -eq "$of" ]; then steady=0; else steady=$((steady + 1)); fi
  done
  if [ "$steady" -lt "$STEADY_S" ]; then
    # If it was stopped, or exited by itself, the pod exits.
    ended
    exit
  fi
  kill -TERM "$classifier"
  ended
done
