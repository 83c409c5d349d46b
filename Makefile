# `make lab` opens JupyterLab on a worked example; `make test` runs every test. Both install what they need first.
#
#   PYTHON=/path/to/python   the Python to use (3.10 to 3.13); found by itself otherwise
#   LAB_ARGS="..."           more arguments for `jupyter lab`
#   PARTS="lint pytest ..."  only these parts of `make test`: lint docs pytest runtimes cluster jest browser
#   PYTEST_ARGS="..."        more arguments for pytest

.PHONY: lab test test-cluster lint docs images benchmarks wheel dist bump dev api constraints clean

lab: .venv/bin/uv
	@.venv/bin/python scripts/lab.py $(LAB_ARGS)

test: .venv/bin/uv
	@.venv/bin/python scripts/check.py $(PARTS)

# The tests that need Kubernetes with KServe: that of $KUBECONFIG, or one that the program $KALE_TEST_CLUSTER starts.
test-cluster: .venv/bin/uv
	@.venv/bin/python scripts/check.py cluster

lint docs: .venv/bin/uv
	@.venv/bin/python scripts/check.py $@

# The screenshots in the README and the documentation, taken anew by the browser tests.
images: .venv/bin/uv
	@SCREENSHOTS="$(CURDIR)/docs/images" .venv/bin/python scripts/check.py browser

benchmarks: .venv/bin/uv
	@.venv/bin/python scripts/measure.py $(BENCHMARKS)

wheel: .venv/bin/uv
	@.venv/bin/python scripts/product.py

# Wheel and sdist as they are published, checked, in dist/.
dist: .venv/bin/uv
	@.venv/bin/python scripts/release.py dist

# The version's one place, and the changelog: make bump VERSION=0.2.0
bump: .venv/bin/uv
	@.venv/bin/python scripts/release.py bump "$(VERSION)"

# Everything a contributor needs in .venv: the checkout itself (editable) and the tools.
dev: .venv/bin/uv
	@.venv/bin/python scripts/develop.py

# The committed files that are made from others: the REST API's description and the panel's types of it.
api: dev
	@.venv/bin/python scripts/api.py --write

# Newest versions that fit pyproject.toml, for every supported Python and platform.
constraints: .venv/bin/uv
	@.venv/bin/python scripts/constraints.py

# A half-made environment has no uv and is made again.
.venv/bin/uv: scripts/find-python.sh
	@python="$$(PYTHON='$(PYTHON)' sh scripts/find-python.sh)" && "$$python" scripts/bootstrap.py

clean:
	rm -rf .venv .cache lib dist build node_modules ui-tests/node_modules kale_serve_ext/labextension docs/_build tsconfig.tsbuildinfo
