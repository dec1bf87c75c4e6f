//! The upstream modules and how to build them. The versions are in the go.mod of each module's folder in `tools/`, so
//! that `go get` alone can upgrade one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub(super) struct Module {
    /// The folder in `tools/`.
    pub(super) name: &'static str,
    pub(super) upstream: &'static str,
    pub(super) tags: &'static str,
    /// The variables in which the linker writes the version. Otherwise these programs report none or a wrong one.
    pub(super) version_flags: &'static str,
    /// Name, main package in the upstream module or `OWN` for that of the folder, build time in seconds.
    pub(super) programs: &'static [(&'static str, &'static str, u32)],
    /// The name in a folder of built tools and the path in the upstream module, for files that are only read.
    pub(super) files: Option<(&'static str, &'static str)>,
}

/// The main package is our own `main.go`, because upstream has only a library.
pub(super) const OWN: &str = "./";

/// The largest first. Programs of the same module follow each other, because they share compiled packages.
pub(super) const MODULES: [Module; 10] = [
    Module {
        name: "kubernetes",
        upstream: "k8s.io/kubernetes",
        tags: "",
        version_flags: "-X k8s.io/component-base/version.gitVersion=v{version} \
            -X k8s.io/component-base/version.gitMajor={major} \
            -X k8s.io/component-base/version.gitMinor={minor}",
        programs: &[
            ("kube-apiserver", "/cmd/kube-apiserver", 160),
            (
                "kube-controller-manager",
                "/cmd/kube-controller-manager",
                40,
            ),
            ("kube-scheduler", "/cmd/kube-scheduler", 6),
            ("kubectl", "/cmd/kubectl", 30),
        ],
        files: None,
    },
    Module {
        name: "istio",
        upstream: "istio.io/istio",
        tags: "vtprotobuf,disable_pgv",
        version_flags: "-X istio.io/istio/pkg/version.buildVersion=1.31-alpha.{commit}",
        programs: &[("pilot-discovery", "/pilot/cmd/pilot-discovery", 185)],
        files: Some(("istio-charts", "manifests/charts")),
    },
    Module {
        name: "prometheus",
        upstream: "github.com/prometheus/prometheus",
        tags: "netgo,remove_all_sd,enable_kubernetes_sd",
        version_flags: "-X github.com/prometheus/common/version.Version={release}",
        programs: &[
            ("prometheus", "/cmd/prometheus", 105),
            ("promtool", "/cmd/promtool", 10),
        ],
        files: None,
    },
    Module {
        name: "kwok",
        upstream: "sigs.k8s.io/kwok",
        tags: "",
        version_flags: "",
        programs: &[("kwok", "/cmd/kwok", 50), ("kwokctl", "/cmd/kwokctl", 15)],
        files: None,
    },
    Module {
        name: "helm",
        upstream: "helm.sh/helm/v4",
        tags: "",
        version_flags: "-X helm.sh/helm/v4/internal/version.version=v{version}",
        programs: &[("helm", "/cmd/helm", 50)],
        files: None,
    },
    Module {
        name: "etcd",
        upstream: "go.etcd.io/etcd/server/v3",
        tags: "",
        version_flags: "",
        programs: &[("etcd", "", 10)],
        files: None,
    },
    Module {
        name: "oidc",
        upstream: "github.com/zitadel/oidc/v3",
        tags: "",
        version_flags: "",
        programs: &[("oidc-provider", OWN, 8)],
        files: None,
    },
    Module {
        name: "victoriametrics",
        upstream: "github.com/VictoriaMetrics/VictoriaMetrics",
        tags: "",
        version_flags: "-X github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version=victoria-metrics-v{version}",
        programs: &[("victoria-metrics", "/app/victoria-metrics", 11)],
        files: None,
    },
    Module {
        name: "gateway-api",
        upstream: "sigs.k8s.io/gateway-api",
        tags: "",
        version_flags: "",
        programs: &[],
        files: Some(("gateway-api-crds", "config/crd/standard")),
    },
    Module {
        name: "gateway-api-1.4",
        upstream: "sigs.k8s.io/gateway-api",
        tags: "",
        version_flags: "",
        programs: &[],
        files: Some(("gateway-api-1.4-crds", "config/crd/standard")),
    },
];

impl Module {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.programs
            .iter()
            .map(|p| p.0)
            .chain(self.files.map(|f| f.0))
    }

    pub(super) fn folder(&self) -> PathBuf {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools")).join(self.name)
    }

    pub(super) fn read(&self, file: &str) -> Result<String> {
        let path = self.folder().join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Changes whenever the built program would change.
    pub(super) fn recipe(&self) -> Result<String> {
        let flags = (self.tags, self.version_flags);
        let own = match self.programs.iter().any(|program| program.1 == OWN) {
            true => self.read("main.go")?,
            false => String::new(),
        };
        Ok(format!(
            "{}{}{own}{flags:?}",
            self.read("go.mod")?,
            self.read("go.sum")?
        ))
    }

    /// Returns the required version from go.mod without the `v`.
    pub(super) fn version(&self) -> Result<String> {
        let go_mod = self.read("go.mod")?;
        let mut words = go_mod
            .lines()
            .map(|line| line.trim().trim_start_matches("require "));
        let version = words.find_map(|l| l.strip_prefix(self.upstream)?.strip_prefix(" v"));
        let version = version.and_then(|rest| rest.split_whitespace().next());
        Ok(version
            .with_context(|| format!("{} not in go.mod", self.upstream))?
            .to_string())
    }

    pub(super) fn linker_flags(&self, version: &str) -> String {
        let part = |n| version.split('.').nth(n).unwrap_or_default();
        // Prometheus 3.16.0 is published as module version v0.316.0.
        let release = version.replacen("0.3", "3.", 1);
        let flags = self
            .version_flags
            .replace("{version}", version)
            .replace("{release}", &release);
        let flags = flags
            .replace("{major}", part(0))
            .replace("{minor}", part(1));
        let commit = version.rsplit('-').next().unwrap_or_default();
        format!("-s -w {}", flags.replace("{commit}", commit))
    }
}
