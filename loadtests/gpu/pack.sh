#!/usr/bin/env bash
# Makes what run.sh needs on a machine with a GPU and nothing else: worker, load generator and .NET itself, in parts of 55 MB at most
# under .build/gpu/parts (not committed). Needs what a build needs; the first time it fetches ONNX Runtime for NVIDIA (245 MB).
# Usage: loadtests/gpu/pack.sh [--without-gpu|--webgpu]     (--without-gpu: leaves the providers out, to try the script
# on a CPU; --webgpu: with the WebGPU provider instead)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
out="$root/.build/gpu"
build=nvidia
case "${1:-}" in
    "") ;;
    --without-gpu) build=cpu ;;
    --webgpu) build=webgpu ;;
    *) echo "usage: loadtests/gpu/pack.sh [--without-gpu|--webgpu]" >&2; exit 2 ;;
esac

publish() { # PROJECT FOLDER
    dotnet publish "$root/$1" -c Release -r linux-x64 --self-contained -p:OnnxRuntime=$build -p:PublishReadyToRun=false -o "$out/pack/$2" -v quiet --nologo
}

rm -rf "$out/pack" "$out/parts"
mkdir -p "$out/parts"
publish src/Worker/Worker.csproj worker
publish loadtests/Scenarios/Scenarios.csproj bench
# Both hold the same runtime and the same libraries: once is enough.
(cd "$out/pack" && find bench -type f | while read -r file; do
    twin="worker/${file#bench/}"
    if [ -f "$twin" ] && cmp -s "$file" "$twin"; then ln -f "$twin" "$file"; fi
done)
find "$out/pack" -name '*.pdb' -delete
tar -C "$out/pack" -cf - worker bench | gzip -6 | split -b 55000000 -d - "$out/parts/pack.tar.gz."
(cd "$out/parts" && sha256sum pack.tar.gz.* > SHA256SUMS)
du -h "$out/parts"/*
