module sandbox/tools/gateway-api-1.4

go 1.26.0

// No program: only the module's folder config/crd/standard is read.
require sigs.k8s.io/gateway-api v1.4.1
