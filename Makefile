# Sluice. `make` prints this help.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CONFIGURATION ?= Release
RESULTS := .build/test-results
PUBLISH := .build/run

.PHONY: help deps restore build test run images up down load load-jobs load-worker load-polls load-cold-start fuzz chaos faults scale-cycles square-wave leader-kills idle-endpoints simulate simulate-real publish clean

help: ## Print this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

deps: ## Install redis-server where it is missing (through apt, as root or with sudo); else say how
	@eng/ensure-redis

build: deps ## Build everything (Release); what it fetches is pinned by lock files
	dotnet build Gateway.sln -c $(CONFIGURATION)

publish: deps ## Build what `make run` starts, into .build/run
	dotnet publish src/Gateway/Gateway.csproj -c Release -r linux-x64 --no-self-contained -o $(PUBLISH)/gateway -v quiet --nologo
	dotnet publish src/Worker/Worker.csproj -c Release -r linux-x64 --no-self-contained -o $(PUBLISH)/worker -v quiet --nologo

run: publish ## Build, start the gateway with its own Redis and the sample endpoints; Ctrl-C stops all of it
	@exec $(PUBLISH)/gateway/Sluice.Gateway

images: publish ## Build the Docker images sluice-gateway and sluice-worker from what was published (BASE=image: on another base)
	@for name in gateway worker; do \
	    DOCKER_BUILDKIT=1 docker build -f deploy/$$name.Dockerfile --build-arg APP=prebuilt $(if $(BASE),--build-arg BASE=$(BASE)) -t sluice-$$name . || exit 1; \
	done

.env:
	@(umask 077; echo "REDIS_PASSWORD=$$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')" > $@)

up: .env ## Build what is needed and bring up gateway, Redis and Prometheus with Docker Compose
	docker compose up -d --build --wait
	@docker compose logs gateway | grep -E 'slk_|listens' || true

down: .env ## Stop them; their data stays
	docker compose down

test: deps publish ## Run every test
	@eng/ensure-test-tools
	@eng/test $(CONFIGURATION) $(RESULTS)

load: publish ## Measure: direct, bare YARP, Sluice, interleaved, as ratios (six minutes; wants a quiet machine)
	dotnet run -c Release --project loadtests/Scenarios -- gateway-overhead

load-jobs: publish ## Measure jobs a second beside BullMQ, interleaved, as ratios (six minutes; wants npm and a quiet machine)
	@# Not ci: bullmq's optional packages for other systems are not in every registry, and ci wants them in the lock file.
	cd loadtests/Peers/bullmq && npm install --no-save --omit-lockfile-registry-resolved --no-audit --no-fund --loglevel=error
	dotnet run -c Release --project loadtests/Scenarios -- job-throughput --rounds 15

load-worker: publish ## Measure the worker beside Fastify + onnxruntime-node and the model's own limit (seven minutes; wants npm)
	cd loadtests/Peers/fastify-ort && npm install --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --loglevel=error
	dotnet run -c Release --project loadtests/Scenarios -- worker-throughput
	dotnet run -c Release --project loadtests/Scenarios -- worker-studies

load-polls: publish ## Measure what a storm of status polls does to those who send work, interleaved, as ratios (seven minutes; wants a quiet machine)
	dotnet run -c Release --project loadtests/Scenarios -- poll-storm --rounds 12 --slice 1.5

load-cold-start: publish ## Measure from zero to the first answer, processes beside containers (two minutes; wants root, or DOCKER_HOST and WORKER_IMAGE)
	dotnet build loadtests/Scenarios -c Release --nologo -v quiet
	$(if $(DOCKER_HOST),,eng/own-network eng/with-docker) dotnet run -c Release --no-build --project loadtests/Scenarios -- cold-start --rounds 20

fuzz: publish ## Send a million mutated requests to the worker (about five minutes); SEED=n repeats them
	dotnet run -c Release --project loadtests/Scenarios -- worker-fuzz $(if $(SEED),--seed $(SEED))

chaos: publish ## Kill gateways, workers and Redis at random among 50,000 jobs and look for each (six minutes); SEED=n repeats one
	dotnet run -c Release --project loadtests/Scenarios -- chaos $(if $(SEED),--seed $(SEED))

faults: publish ## Break each part as often as the fault matrix asks for, and print what was expected and seen (half an hour)
	@eng/faults $(CONFIGURATION) $(RESULTS)

simulate: ## Run every scaler (ours, Knative's, RunPod's, fixed fleets) on every trace in virtual time (a minute); plots in .build/simulation
	dotnet run -c Release --project loadtests/Simulator -- compare --out .build/simulation

simulate-real: publish ## Replay part of the Azure trace through a real gateway and workers, and compare with the simulator (three minutes; wants a quiet machine)
	dotnet run -c Release --project loadtests/Scenarios -- simulate-real

scale-cycles: publish ## Scale in and roll 50 times under 20,000 requests and 50 streams, and look for each (three minutes)
	dotnet run -c Release --project loadtests/Scenarios -- scale-cycles

square-wave: publish ## Turn traffic on and off as a square wave and count what the scalers make of it (six minutes; wants a quiet machine)
	dotnet run -c Release --project loadtests/Scenarios -- square-wave

leader-kills: publish ## Kill whoever of three gateways leads every five seconds, under load, and see when the workers are there again (four minutes)
	dotnet run -c Release --project loadtests/Scenarios -- leader-kills

idle-endpoints: publish ## Leave 500 endpoints idle at two gateways that are 5 ms from Redis, and count leader changes (ten minutes)
	dotnet run -c Release --project loadtests/Scenarios -- idle-endpoints

clean: ## Remove everything that was built or fetched
	rm -rf .build .ort
	find . -type d \( -name bin -o -name obj \) -not -path './.git/*' -prune -exec rm -rf {} +
