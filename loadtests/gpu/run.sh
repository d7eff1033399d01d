#!/usr/bin/env bash
# The worker measured on a device: what doctor says, where the samples' nodes are placed, and the table of `make load-worker` for two models beside the
# limit in process, and text generation and embeddings beside ONNX Runtime alone. Needs nothing installed but CUDA 13 and cuDNN 9 with their driver (none of it for cpu): pack.sh, on any machine, has made the parts.
# Usage: loadtests/gpu/run.sh [--provider cuda|tensorrt|webgpu|cpu] [--parts FOLDER] [--out FILE] [--rounds N] [--slice SECONDS]
#        [--only generation]    (text generation and embeddings alone)
#        CUDA in an unusual place: SLUICE_CUDA_LIBRARY_PATH=FOLDER[:FOLDER...]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
provider=cuda parts="$root/.build/gpu/parts" out="" rounds=3 slice=2 only=""
while [ $# -gt 0 ]; do
    case "$1" in
        --provider) provider=$2 ;;
        --parts) parts=$2 ;;
        --out) out=$2 ;;
        --rounds) rounds=$2 ;;
        --slice) slice=$2 ;;
        --only) only=$2 ;;
        *) sed -n 's/^# \(Usage:.*\)/\1/p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
out=${out:-$root/.build/gpu/result-$provider.md}

# Joined once for each set of parts.
unpacked="$root/.build/gpu/unpacked"
[ -f "$parts/SHA256SUMS" ] || { echo "$parts/SHA256SUMS is missing: run loadtests/gpu/pack.sh, and bring the parts here" >&2; exit 1; }
if ! cmp -s "$parts/SHA256SUMS" "$unpacked/SHA256SUMS" 2>/dev/null; then
    (cd "$parts" && sha256sum --quiet -c SHA256SUMS)
    rm -rf "$unpacked"
    mkdir -p "$unpacked"
    cat "$parts"/pack.tar.gz.* | tar -C "$unpacked" -xzf -
    cp "$parts/SHA256SUMS" "$unpacked/"
fi

# .NET's globalisation data are not needed, and may not be installed.
export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
"$unpacked/bench/Sluice.Scenarios" worker-device --worker "$unpacked/worker/Sluice.Worker" --provider "$provider" \
    --rounds "$rounds" --slice "$slice" ${only:+--only "$only"} --out "$out"
echo "written: $out"
