# make deps is the one place that installs packages.
deps:
	@deploy/deps.sh
.PHONY: deps
