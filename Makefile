# Build targets of Sluice. `make` without a target prints the help.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CONFIGURATION ?= Release
RESULTS := .build/test-results
PUBLISH := .build/run
# The build of ONNX Runtime in the worker: cpu, nvidia or webgpu.
ONNXRUNTIME ?= cpu

.PHONY: help deps models restore build test test-fast run images up down publish clean \
    load load-jobs load-worker load-generation load-polls load-cold-start load-tokens load-conversations load-cache load-streams load-upload fuzz chaos batch-chaos pod-chaos notebooks screenshots measure-dashboard faults \
    scale-cycles square-wave leader-kills idle-endpoints idle-cost rolling-upgrade stream-failover redis-failover simulate simulate-real

help: ## Print this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16
	@printf '\nVariables: CONFIGURATION=Debug, ONNXRUNTIME=cpu|nvidia|webgpu, BASE=image (images), SEED=n (fuzz, chaos)\n'

deps: ## Install redis-server with apt if it is missing; print instructions if that fails
	@eng/ensure-redis

build: deps ## Build everything (Release). Lock files pin all downloads
	dotnet build Gateway.sln -c $(CONFIGURATION)

models: ## Fetch the sample models that are not in the repository (91 MB)
	@eng/fetch-models

publish: deps models ## Publish gateway and worker into .build/run (ONNXRUNTIME=nvidia or webgpu: the worker for GPUs)
	eng/publish $(ONNXRUNTIME)

run: publish ## Publish, then start the gateway with its own Redis and the sample endpoints; Ctrl-C stops everything
	@exec $(PUBLISH)/gateway/Sluice.Gateway

images: publish ## Build the Docker images from the published files (BASE=image selects another base image)
	@for name in gateway $(if $(filter nvidia,$(ONNXRUNTIME)),worker-gpu,worker); do \
	    DOCKER_BUILDKIT=1 docker build -f deploy/$$name.Dockerfile --build-arg APP=prebuilt \
	        $(if $(BASE),--build-arg BASE=$(BASE)) -t sluice-$$name . || exit 1; \
	done

.env:
	@(umask 077; echo "REDIS_PASSWORD=$$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')" > $@)

up: .env models ## Build the images and start gateway, Redis and Prometheus with Docker Compose
	docker compose up -d --build --wait
	@docker compose logs gateway | grep -E 'slk_|listens' || true

down: .env ## Stop the containers; their data is kept
	docker compose down

test-fast: ## Build and run the tests that need no published programs and no additional tools (1 min)
	@eng/test-fast $(CONFIGURATION) $(RESULTS)

test: deps ## Build, publish, and run every test (24 min on two cores)
	@eng/test $(CONFIGURATION) $(RESULTS)

load: publish ## Compare direct access, plain YARP and Sluice (6 min; needs an idle machine)
	dotnet run -c Release --project loadtests/Scenarios -- gateway-overhead

load-upload: publish ## Upload a model of 5 GiB and measure the memory of the gateway (2 min; needs 11 GB of disk)
	UPLOAD_MIB=5120 dotnet run -c Release --project tests/EndToEnd/WholeProduct.Tests -- \
		--filter-class '*.ModelUploadMemoryTest' --output Detailed

load-jobs: publish ## Compare job throughput with BullMQ (6 min; needs npm and an idle machine)
	@# `npm ci` is not used: it requires bullmq's optional packages for other systems in the lock file, and not every
	@# registry has them.
	cd loadtests/Peers/bullmq && npm install --no-save --omit-lockfile-registry-resolved --no-audit --no-fund \
	    --loglevel=error
	dotnet run -c Release --project loadtests/Scenarios -- job-throughput --rounds 15

load-worker: publish ## Compare the worker with Fastify + onnxruntime-node and a bare run of the model (7 min; npm)
	cd loadtests/Peers/fastify-ort && npm install --ignore-scripts --no-save --no-package-lock --no-audit --no-fund \
	    --loglevel=error
	dotnet run -c Release --project loadtests/Scenarios -- worker-throughput
	dotnet run -c Release --project loadtests/Scenarios -- worker-studies

load-generation: publish ## Compare text generation with a bare loop, llama.cpp and GenAI (20 min; npm and an idle machine)
	cd loadtests/Peers/llama-cpp && npm install --ignore-scripts --no-save --omit-lockfile-registry-resolved --no-audit \
	    --no-fund --loglevel=error
	dotnet build loadtests/Peers/GenAi -c Release --nologo -v quiet
	dotnet run -c Release --project loadtests/Scenarios -- generation-throughput
	dotnet run -c Release --project loadtests/Scenarios -- prefill-interference

load-conversations: publish ## Compare conversations with and without the preferred worker (4 min; needs an idle machine)
	dotnet run -c Release --project loadtests/Scenarios -- conversations

load-cache: publish ## Compare dispatch by the room in the cache with a number of slots (5 min; needs an idle machine)
	dotnet run -c Release --project loadtests/Scenarios -- cache-dispatch

load-streams: publish ## Compare streams of the OpenAI API with the worker alone, 2,000 at a time (9 min; needs an idle machine)
	dotnet run -c Release --project loadtests/Scenarios -- stream-overhead

load-polls: publish ## Measure how status polling affects job submission (7 min; needs an idle machine)
	dotnet run -c Release --project loadtests/Scenarios -- poll-storm --rounds 12 --slice 1.5

load-cold-start: publish ## Measure cold starts (2 min; needs root, or DOCKER_HOST and WORKER_IMAGE)
	dotnet build loadtests/Scenarios -c Release --nologo -v quiet
	$(if $(DOCKER_HOST),,eng/own-network eng/with-docker) dotnet run -c Release --no-build --project loadtests/Scenarios \
	    -- cold-start --rounds 20

fuzz: publish ## Send 1,200,000 mutated requests to worker and gateway (10 min); SEED=n repeats a run
	dotnet run -c Release --project tests/Fuzz -- $(if $(SEED),--seed $(SEED))
	dotnet run -c Release --project tests/Fuzz -- --surface openai $(if $(SEED),--seed $(SEED))
	dotnet run -c Release --project tests/Fuzz -- --surface gateway $(if $(SEED),--seed $(SEED))

chaos: publish ## Kill gateways, workers and Redis during 50,000 jobs; check every job (6 min); SEED=n repeats a run
	dotnet run -c Release --project loadtests/Scenarios -- chaos $(if $(SEED),--seed $(SEED))

batch-chaos: publish ## Kill gateways, workers and Redis during a batch of 10,000 lines; check each line (3 min)
	dotnet run -c Release --project loadtests/Scenarios -- batch-chaos $(if $(SEED),--seed $(SEED))

redis-failover: publish ## Kill the primary of Redis under load, Sentinels promote a replica; check every job (5 min)
	dotnet run -c Release --project loadtests/Scenarios -- redis-failover $(if $(SEED),--seed $(SEED)) \
	    $(if $(FAILOVERS),--failovers $(FAILOVERS))

stream-failover: publish ## Kill 50 workers and 20 gateways while 64 texts stream; compare every text (10 min)
	dotnet run -c Release --project loadtests/Scenarios -- stream-failover

load-tokens: publish ## Let 64 clients use a limit of 10,000 tokens per minute; check the sum (11 min)
	dotnet run -c Release --project loadtests/Scenarios -- token-limit

faults: publish ## Run the whole fault matrix and print expected and observed results (30 min)
	@eng/faults $(CONFIGURATION) $(RESULTS)

pod-chaos: publish ## Kill gateways and a Docker daemon while 200 pods are started and stopped at random (10 min; root)
	@POD_CHAOS_PODS=$${PODS:-200} POD_CHAOS_KILLS=$${KILLS:-40} POD_CHAOS_SEED=$${SEED:-20261130} eng/own-network \
	    dotnet run -c Release --project tests/Conformance/Hosts.Tests -- \
	    --filter-class '*.UserPodChaosTest' --show-live-output on

notebooks: publish ## Use Jupyter and code-server in pods with a real browser (3 min; root, chromium, jupyter-notebook)
	@cd tests/EndToEnd/Notebooks && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@eng/own-network eng/with-docker tests/EndToEnd/Notebooks/setup

screenshots: publish ## Make the pictures of the dashboard in docs/images/dashboard (2 min; chromium, pngquant)
	@cd tests/EndToEnd/Dashboard && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	tests/EndToEnd/Dashboard/screenshots

measure-dashboard: publish ## Measure the size, first load and cost of the dashboard (4 min; chromium; idle machine)
	@cd tests/EndToEnd/Dashboard && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@tests/EndToEnd/Dashboard/measure

simulate: ## Simulate all scalers on all traces in virtual time (1 min); plots in .build/simulation
	dotnet run -c Release --project loadtests/Simulator -- compare --out .build/simulation

simulate-real: publish ## Compare a real gateway with the simulator on a trace (3 min; needs an idle machine)
	dotnet run -c Release --project loadtests/Scenarios -- simulate-real

scale-cycles: publish ## Scale in and roll out 50 times under load; check every request (3 min)
	dotnet run -c Release --project loadtests/Scenarios -- scale-cycles

square-wave: publish ## Measure the scalers on square-wave traffic (12 min; needs an idle machine)
	dotnet run -c Release --project loadtests/Scenarios -- square-wave

leader-kills: publish ## Kill the leader of three gateways every 5 s under load; measure recovery (4 min)
	dotnet run -c Release --project loadtests/Scenarios -- leader-kills

rolling-upgrade: publish ## Replace three gateways one by one under load (1 min); FROM=folder: from another .build/run
	dotnet run -c Release --project loadtests/Scenarios -- rolling-upgrade $(if $(FROM),--before $(FROM))

idle-endpoints: publish ## Run 500 idle endpoints with 5 ms latency to Redis; count leader changes (10 min)
	dotnet run -c Release --project loadtests/Scenarios -- idle-endpoints

idle-cost: publish ## Measure CPU and Redis commands of 3, 1,000 and 2,000 endpoints at zero, and 10,000 keys (10 min)
	dotnet run -c Release --project loadtests/Scenarios -- idle-cost

clean: ## Delete all build outputs and downloads
	rm -rf .build
	find . -type d \( -name bin -o -name obj \) -not -path './.git/*' -prune -exec rm -rf {} +
