#!/bin/bash
# The control plane without a node, by real kubectl: store, API server, controllers and scheduler as processes in a temporary
# directory on a port of the loopback interface. Prints cmocka's lines, so that tests/run.sh counts each step.
# Usage: control_plane.sh [BIN_DIR]
set -u
bin=${1:-build/bin}
kubectl=$(command -v kubectl || true)
if [ -z "$kubectl" ]; then
  echo "[  SKIPPED ] test_control_plane"
  exit 0
fi
dir=$(mktemp -d /tmp/kubus-e2e-XXXXXX)
pids=()
cleanup() {
  for p in "${pids[@]}"; do kill "$p" 2>/dev/null; done
  for p in "${pids[@]}"; do wait "$p" 2>/dev/null; done
  rm -rf "$dir"
}
trap cleanup EXIT
port=$((20000 + RANDOM % 10000))
failed=0
k() { timeout 20 "$kubectl" --kubeconfig "$dir/admin.kubeconfig" --cache-dir "$dir/cache" "$@"; }
step() { # NAME COMMAND...: a step that must succeed
  local name=$1 out
  shift
  if out=$("$@" 2>&1); then
    echo "[       OK ] test_$name"
  else
    echo "$out" | tail -n 5
    echo "[  FAILED  ] test_$name"
    failed=1
  fi
}
fails() { ! "$@"; }
has() { # WANT COMMAND...: the command's output contains WANT
  local want=$1
  shift
  "$@" 2>&1 | grep -F -- "$want"
}
eventually() { # COMMAND...: repeated until it succeeds, 15 s at most
  local end=$((SECONDS + 15))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || { "$@"; return 1; }
    read -rt 0.1 <> <(:) || true
  done
}
start() { # NAME ARGUMENTS...
  local name=$1
  shift
  "$bin/kubus-$name" --dir "$dir" "$@" >>"$dir/$name.log" 2>&1 &
  pids+=($!)
}
start_api() { start apiserver --bind-address 127.0.0.1 --secure-port "$port" --advertise-address 192.0.2.10; }
"$bin/kubus" init --dir "$dir" --node-ip 127.0.0.1 --secure-port "$port" || exit 1
start store
start_api
start controller
start scheduler

step api_is_ready eventually has ok k get --raw /readyz
step version has v1.33 k version
step api_resources has deployments k api-resources
step explain has containerPort k explain pod.spec.containers --recursive
step create_configmap k create configmap settings --from-literal=colour=blue
step get_yaml has 'colour: blue' k get configmap settings -o yaml
step get_jsonpath has blue k get configmap settings -o 'jsonpath={.data.colour}'
step patch_merge k patch configmap settings --type=merge -p '{"data":{"size":"big"}}'
step patch_json k patch configmap settings --type=json -p '[{"op":"replace","path":"/data/colour","value":"red"}]'
step patched has 'red big' k get configmap settings -o 'jsonpath={.data.colour} {.data.size}'
step label k label configmap settings tier=front
step label_selector has settings k get configmap -l tier=front -o name
step field_selector has settings k get configmap --field-selector metadata.name=settings -o name
step conflict_is_told has 'already exists' k create configmap settings
step delete k delete configmap settings
step missing_is_told has 'not found' k get configmap settings
step default_service_account eventually k get serviceaccount default
step root_certificate eventually k get configmap kube-root-ca.crt
step create_token has ey k create token default
step create_deployment k create deployment web --image=localhost/none:1 --replicas=3
pods_are() { [ "$(k get pods -l app=web -o name | wc -l)" = "$1" ]; }
step pods_are_made eventually pods_are 3
step scale k scale deployment web --replicas=1
step pods_are_removed eventually pods_are 1
step expose k expose deployment web --port=80
step cluster_ip has 10.96. k get service web -o 'jsonpath={.spec.clusterIP}'
step can_i has yes k auth can-i create pods
step cannot_as_another has no k auth can-i create pods --as=somebody
step unschedulable_is_told eventually has 'no nodes available' k get pods -l app=web -o 'jsonpath={.items[0].status.conditions[0].message}'
step delete_cascades k delete deployment web
step garbage_is_collected eventually pods_are 0
printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: applied\ndata:\n  a: "1"\n' >"$dir/cm.yaml"
step apply k apply -f "$dir/cm.yaml"
sed -i 's/"1"/"2"/' "$dir/cm.yaml"
step diff_shows has '+  a: "2"' k diff -f "$dir/cm.yaml"
step apply_again k apply -f "$dir/cm.yaml"
step applied has 2 k get configmap applied -o 'jsonpath={.data.a}'
step apply_server_side k apply --server-side --force-conflicts -f "$dir/cm.yaml"
step dry_run k delete configmap applied --dry-run=server
step dry_run_changed_nothing k get configmap applied

kill -9 "${pids[0]}" "${pids[1]}"
wait "${pids[0]}" "${pids[1]}" 2>/dev/null
pids=("${pids[@]:2}")
start store
start_api
step comes_back_after_kill_9 eventually has ok k get --raw /readyz
step nothing_is_lost has web k get service web -o name
exit $failed
