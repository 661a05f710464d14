# `make` lists what there is. Two environments: .venv runs the gateway and stays free of torch,
# .venv-dev has everything that training, export and the tests need.
PYTHON ?= python3
DEV := .venv-dev/bin
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

.PHONY: serve
serve: .venv/installed ## Serve the bundled model (ONEGAUGE_HOST, …_PORT, …_API_KEYS, …_RECORDS)
	@ONEGAUGE_API_KEYS=$${ONEGAUGE_API_KEYS:-off} \
		ONEGAUGE_RECORDS=$${ONEGAUGE_RECORDS-sqlite:///runs/records/records.db} \
		.venv/bin/onegauge serve

# At most four workers, for each has a PostgreSQL and torch of its own and grows to 2.5 GB
.PHONY: test
test: .venv-dev/installed ## Run all tests, a worker for each core
	$(DEV)/python -m pytest --numprocesses logical --maxprocesses 4 \
		--dist loadfile --no-loadscope-reorder

.PHONY: drills
drills: .venv-dev/installed ## Run the fault drills: 2,000 fuzzed requests, 200 reviews by keyboard, …
	ONEGAUGE_FUZZ_EXAMPLES=1500 $(DEV)/python -m pytest -m 'not image' \
		tests/test_drills.py tests/test_openapi.py tests/service/review/test_browser.py \
		tests/bulk/test_cluster.py

.PHONY: soak
soak: .venv-dev/installed ## Keep a gateway at full load for 20,000 requests, at least 10 minutes
	$(DEV)/python -m bench.soak

# PIP_CONF and MOUNTS: docker/images.sh tells
.PHONY: images
images: ## Build the gateway's image with buildah, without a Docker engine
	docker/images.sh gateway

.PHONY: image-test
image-test: .venv-dev/installed ## Run the built image: it answers, is not root and writes nothing
	$(DEV)/python -m pytest -m image tests/test_images.py

.PHONY: smoke
smoke: .venv-dev/installed ## Run the built image beside a real Triton and Prometheus, as compose would
	$(DEV)/python -m pytest -m image tests/test_smoke.py

.PHONY: lint
lint: .venv-dev/installed ## Check style
	$(DEV)/ruff check
	$(DEV)/ruff format --check

.PHONY: types
types: .venv-dev/installed ## Check types
	$(DEV)/mypy

.PHONY: check
check: lint types ## Check style and types

.PHONY: demo-model
demo-model: .venv-dev/installed ## Render products, train the bundled model on them, test and publish it
	rm -rf runs/demo
	$(DEV)/python -m demo.products --out runs/demo/products --train 80 --test-good 0 \
		--test-defective 0
	$(DEV)/python -m demo.products --out runs/demo/fresh --train 0 --seed 1
	$(DEV)/onegauge train --data runs/demo/products --out runs/demo/run --image-size 256
	$(DEV)/onegauge evaluate runs/demo/run --data runs/demo/fresh
	$(DEV)/onegauge export runs/demo/run --repository runs/demo/repository --name onegauge
	ONEGAUGE_REPOSITORY=runs/demo/repository $(DEV)/python -m pytest tests/test_bundled_model.py
	mkdir -p model_repository && rm -rf model_repository/onegauge
	mv runs/demo/repository/onegauge model_repository/onegauge

.PHONY: samples
samples: .venv-dev/installed ## Render the sample images
	$(DEV)/python -m demo.products --samples docs/samples

.PHONY: picture
picture: .venv-dev/installed ## Draw the pictures of the documentation with the bundled model
	$(DEV)/python docs/picture.py model_repository docs/images/inspection.jpg
	$(DEV)/python docs/mixture.py docs/images/mixture.png
	$(DEV)/python docs/review_pictures.py model_repository docs/images
	$(DEV)/python docs/node_red.py docs/images/node-red.png

.PHONY: bench
bench: .venv-dev/installed ## Measure what is to be reached, in one table (10 minutes)
	$(DEV)/python -m bench.goals

# With DATA=folder of labelled products and WEIGHTS=resnet18.safetensors larger models and anomalib, too
.PHONY: bench-full
bench-full: bench ## Measure peers, loads, formats, Triton, the graph and training, too (an hour)
	$(DEV)/python -m bench.throughput
	taskset -c 0 $(DEV)/python -m bench.throughput --rounds 2
	$(DEV)/python -m bench.recording
	$(DEV)/python -m bench.sinks
	$(DEV)/python -m bench.saturation
	$(DEV)/python -m bench.formats
	$(DEV)/python -m bench.triton
	$(DEV)/python -m bench.graph
	$(DEV)/python -m bench.flame
	taskset -c 0 $(DEV)/python -m bench.roofline
	$(DEV)/python -m bench.coreset
	$(DEV)/python -m bench.bulk
	$(DEV)/python -m bench.plots
	if [ -n "$(DATA)" ]; then $(MAKE) bench-resnet; fi

BENCH_RESNET := patchcore-resnet18 revdist-resnet18

.PHONY: bench-resnet
bench-resnet: $(BENCH_RESNET:%=runs/bench/%) ## Train on DATA with a ResNet18 of WEIGHTS, and measure
	for name in $(BENCH_RESNET); do \
		$(DEV)/python -m bench.throughput --repository runs/bench/repository --name $$name \
			--server onegauge --server plain && \
		$(DEV)/python -m bench.runtimes runs/bench/repository $(DATA) $$name || exit; \
	done
	$(DEV)/python -m bench.graph --repository runs/bench/repository --name patchcore-resnet18
	for detector in patchcore revdist; do \
		$(DEV)/python -m bench.anomalib $(DATA) $(WEIGHTS) --detector $$detector --bank 5000 || exit; \
	done
	$(DEV)/python -m bench.whole_line $(DATA) $(WEIGHTS)

runs/bench/%-resnet18: .venv-dev/installed
	$(DEV)/onegauge train --data $(DATA) --detector $* --epochs 2 --backbone resnet18 \
		--image-size 256 --backbone-weights $(WEIGHTS) --false-alarm-rate 0.05 --out $@
	$(DEV)/onegauge export $@ --repository runs/bench/repository --name $*-resnet18

.PHONY: clean
clean: ## Remove environments, caches and build products
	rm -rf .venv .venv-dev .cache .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -r {} +

.venv/installed: EXTRAS := cpu,records,teach
.venv-dev/installed: EXTRAS := camera,cpu,openvino,parquet,plant,postgres,ray,s3,tiles,tracing,train,dev

# Installed anew only when pyproject.toml changed
.venv/installed .venv-dev/installed: pyproject.toml
	$(require_python)
	@echo "Installing onegauge[$(EXTRAS)] into $(@D)"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@

# Debian and Ubuntu ship Python without what `python -m venv` needs; root can be helped at once
define require_python
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 ...'; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
		[ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq $$package; } || \
		{ echo "Install the missing package first: sudo apt-get install $$package"; exit 1; }
endef
