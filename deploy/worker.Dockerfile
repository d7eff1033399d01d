# The image of the built-in worker for the CPU. Build it in the root of the checkout (BuildKit,
# which is Docker's default since version 23):
#   docker build -f deploy/worker.Dockerfile -t sluice-worker .
# APP=prebuilt copies the output of `make publish` instead of compiling here. BASE may be any image with ASP.NET Core 10
# and libstdc++.
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0.401-noble
ARG BASE=mcr.microsoft.com/dotnet/aspnet:10.0.12-noble-chiseled
ARG APP=compiled

FROM ${SDK} AS compiled
WORKDIR /source
COPY . .
ENV CI=true
RUN dotnet publish src/Worker/Worker.csproj -c Release -r linux-x64 --no-self-contained -o /worker

FROM scratch AS prebuilt
COPY .build/run/worker /worker

FROM ${APP} AS app

FROM ${BASE}
COPY --from=app /worker /worker
# No image defines this user, so it can access only world-readable files.
USER 65532:65532
ENV SLUICE_BIND=0.0.0.0 SLUICE_PORT=8000 SLUICE_MODEL_REPOSITORY=/models DOTNET_EnableDiagnostics=0 \
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1
EXPOSE 8000
ENTRYPOINT ["/worker/Sluice.Worker"]
