#!/usr/bin/env bash
# Leaves a real control plane running, with Foresail registered in it under the demo's load and a Deployment whose stock
# HPA uses a metric and its forecast. For people who want to look; Ctrl-C ends all of it. `make controlplane` runs it.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=test/controlplane/bin
dir=$(mktemp -d)
port=${FORESAIL_PORT:-16443}
trap 'trap - EXIT INT TERM; kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$dir"' EXIT INT TERM

await() { # await FILE PATTERN: the first line of the file that has the pattern
  for _ in $(seq 600); do
    if grep -m1 -- "$2" "$1" 2>/dev/null; then return; fi
    if [ "$(jobs -rp | wc -l)" -lt "$3" ]; then cat "$1" "$dir"/*.log >&2; exit 1; fi
    sleep 0.1
  done
  echo "no '$2' within a minute:" >&2; cat "$1" >&2; exit 1
}

$bin/controlplane up --dir "$dir/plane" --bin "$PWD/$bin" --hpa-sync 15s --pod-ready-delay 10s >"$dir/up" 2>"$dir/plane.log" &
ready=$(await "$dir/up" '^ready ' 1)
kubeconfig=$(sed -n 's/.*kubeconfig=\([^ ]*\).*/\1/p' <<<"$ready")
kubectl=$(sed -n 's/.*kubectl=\([^ ]*\).*/\1/p' <<<"$ready")
adapter=$dir/plane/foresail.kubeconfig

bin/foresail demo --in-cluster --secure-port "$port" --bind-address 127.0.0.1 --cert-dir "$dir/certs" --lister-kubeconfig "$adapter" \
  --authentication-kubeconfig "$adapter" --authorization-kubeconfig "$adapter" >"$dir/demo" 2>"$dir/demo.log" &
await "$dir/demo" 'Foresail is running' 2 >/dev/null
$bin/controlplane register --kubeconfig "$kubeconfig" --port "$port" --bin "$PWD/$bin" >"$dir/register.log" 2>&1 || { cat "$dir/register.log" "$dir/demo.log" >&2; exit 1; }

"$kubectl" --kubeconfig "$kubeconfig" create namespace demo >/dev/null
"$kubectl" --kubeconfig "$kubeconfig" -n demo apply -f - >/dev/null <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata: {name: checkout}
spec:
  replicas: 2
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      nodeName: kwok-0
      tolerations: [{operator: Exists}]
      containers: [{name: main, image: registry.invalid/none}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: checkout}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: checkout}
  minReplicas: 2
  maxReplicas: 40
  metrics:
    - {type: External, external: {metric: {name: checkout_requests_per_second}, target: {type: AverageValue, averageValue: "4"}}}
    - {type: External, external: {metric: {name: checkout_requests_per_second_forecast}, target: {type: AverageValue, averageValue: "4"}}}
    - {type: External, external: {metric: {name: orders_lag_growth_forecast}, target: {type: AverageValue, averageValue: "1"}}}
YAML
cat <<TEXT
A control plane is running with Foresail in it. In another terminal:

  export KUBECONFIG=$kubeconfig
  alias kubectl=$kubectl
  kubectl -n demo get hpa checkout --watch
  kubectl -n demo describe hpa checkout
  kubectl get --raw /apis/external.metrics.k8s.io/v1beta1/namespaces/demo/checkout_requests_per_second_forecast
  tail -f $dir/demo          # the demo's table

Ctrl-C ends it.
TEXT
wait -n
echo "a part ended:" >&2
tail -n 20 "$dir"/*.log >&2
exit 1
