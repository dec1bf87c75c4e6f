module sandbox/tools/prometheus

go 1.26.7

// No tool directive and no "go mod tidy": both load every service discovery plugin, and the module
// of one of them cannot be fetched. Only this requirement, -mod=mod and build tags make it build.
require github.com/prometheus/prometheus v0.316.0
