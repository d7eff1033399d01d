# The image of the built-in worker with CUDA and TensorRT. Build it in the root of the checkout (BuildKit,
# which is Docker's default since version 23):
#   docker build -f deploy/worker-gpu.Dockerfile -t sluice-worker-gpu .
# APP=prebuilt copies the files in PUBLISHED, by default the output of `make publish ONNXRUNTIME=nvidia`, instead of
# compiling here. BASE may be any image with CUDA 13's libraries.
# TENSORRT=10.x.y.z-1+cuda13.0 adds TensorRT from NVIDIA's package repository, which the default base image contains.
# ONNX Runtime cannot load TensorRT 11, which has another library name.
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0.401-noble
# ONNX Runtime 1.31 requires CUDA 13 (driver 580 or later) and cuDNN 9.
ARG BASE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04
ARG DOTNET=mcr.microsoft.com/dotnet/aspnet:10.0.12-noble
ARG APP=compiled
ARG TENSORRT=

FROM ${SDK} AS compiled
WORKDIR /source
COPY . .
ENV CI=true
RUN dotnet publish src/Worker/Worker.csproj -c Release -r linux-x64 --no-self-contained \
    -p:OnnxRuntime=nvidia -o /worker

FROM scratch AS prebuilt
ARG PUBLISHED=.build/run/worker
COPY ${PUBLISHED} /worker

FROM ${APP} AS app

FROM ${DOTNET} AS dotnet

FROM ${BASE}
ARG TENSORRT
RUN if [ -n "$TENSORRT" ]; then apt-get update && apt-get install -y --no-install-recommends \
    libnvinfer10="$TENSORRT" libnvinfer-plugin10="$TENSORRT" libnvonnxparsers10="$TENSORRT" \
    && rm -rf /var/lib/apt/lists/*; fi
COPY --from=dotnet /usr/share/dotnet /usr/share/dotnet
COPY --from=app /worker /worker
# No image defines this user, so it can access only world-readable files.
USER 65532:65532
ENV SLUICE_BIND=0.0.0.0 SLUICE_PORT=8000 SLUICE_MODEL_REPOSITORY=/models \
    SLUICE_EXECUTION_PROVIDERS=cuda,cpu DOTNET_EnableDiagnostics=0 \
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1
EXPOSE 8000
ENTRYPOINT ["/worker/Sluice.Worker"]
