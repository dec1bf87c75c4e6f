module sandbox/tools/victoriametrics

go 1.26.7

// No "go mod tidy": it would drop the requirement.
require github.com/VictoriaMetrics/VictoriaMetrics v1.148.0
