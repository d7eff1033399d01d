# The image of the gateway, with the built-in worker for pods that are processes. Build it in the root of the checkout
# (BuildKit):
#   docker build -f deploy/gateway.Dockerfile -t sluice-gateway .
# APP=prebuilt copies the output of `make publish` instead of compiling here. BASE may be any image with ASP.NET Core
# 10, libstdc++ and OpenSSL 3.
ARG SDK=mcr.microsoft.com/dotnet/sdk:10.0.401-noble
ARG BASE=mcr.microsoft.com/dotnet/aspnet:10.0.12-noble-chiseled
ARG APP=compiled

FROM ${SDK} AS compiled
WORKDIR /source
COPY . .
ENV CI=true
RUN dotnet publish src/Gateway/Gateway.csproj -c Release -r linux-x64 --no-self-contained -o /gateway \
 && dotnet publish src/Worker/Worker.csproj -c Release -r linux-x64 --no-self-contained -o /worker \
 && dotnet publish src/Cli/Cli.csproj -c Release -r linux-x64 --no-self-contained -o /cli \
 && cp -r models /models && eng/fetch-models /models

FROM scratch AS prebuilt
COPY .build/run/gateway /gateway
COPY .build/run/worker /worker
COPY .build/run/cli /cli
COPY models /models

FROM ${APP} AS app

FROM ${BASE}
COPY --from=app /gateway /gateway
COPY --from=app /worker /worker
COPY --from=app /cli /cli
COPY deploy/endpoints.yaml /etc/sluice/endpoints.yaml
COPY --from=app /models /models
# A volume that is mounted here takes the owner of this folder.
COPY --chown=65532:65532 deploy/README.md /var/lib/sluice/README.md
USER 65532:65532
# HOME is set because the user has no home folder. Each worker has a private folder for its own files.
ENV SLUICE_URLS=http://0.0.0.0:8080 SLUICE_DATA=/var/lib/sluice \
    SLUICE_MANIFEST=/etc/sluice/endpoints.yaml SLUICE_MODEL_REPOSITORY=/models \
    SLUICE_WORKER=/worker/Sluice.Worker HOME=/tmp DOTNET_EnableDiagnostics=0
VOLUME /var/lib/sluice
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 CMD ["/gateway/Sluice.Gateway", "health"]
ENTRYPOINT ["/gateway/Sluice.Gateway"]
