//! The arguments of `render`, which takes cluster names instead of contexts because it contacts no cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CLUSTERS, Options, values};
use crate::mesh::{Address, ClusterName};

#[derive(Args, Debug)]
#[command(next_help_heading = "Files")]
pub struct Render {
    /// Istio cluster ID of the home cluster, which runs Kiali
    #[arg(long, help_heading = CLUSTERS, value_name = "NAME", value_parser = ClusterName::new)]
    pub home: ClusterName,
    /// Istio cluster ID of a remote cluster; repeat for more remotes
    #[arg(long, help_heading = CLUSTERS, value_name = "NAME", required = true, value_parser = ClusterName::new)]
    pub remote: Vec<ClusterName>,
    /// Folder to write to; each cluster gets its own subfolder
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Address at which home reaches the Gateway of a cluster's Prometheus; give one per cluster
    #[arg(long, help_heading = CLUSTERS, value_name = "NAME=HOST:PORT", value_parser = values::target)]
    target: Vec<(ClusterName, Address)>,
    /// Also write a kustomization.yaml for each cluster
    #[arg(long)]
    pub kustomize: bool,
    /// Write only what a cluster administrator must create so that a namespace admin can create the rest
    #[arg(long)]
    pub rbac: bool,
    /// What to write in place of the Secrets with the remotes' kubeconfigs and with the login's client secret
    #[arg(long, value_enum, default_value_t = Secrets::Placeholder)]
    secrets: Secrets,
    /// ClusterSecretStore to name in the ExternalSecrets
    #[arg(long, value_name = "NAME", required_if_eq("secrets", "external"))]
    secret_store: Option<String>,
    /// Write even if the folder contains other files
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Secrets {
    /// Secrets without data, which install fills in
    Placeholder,
    /// ExternalSecrets (external-secrets.io/v1)
    External,
}

impl Render {
    /// If a cluster is given twice, the last address wins.
    pub fn targets(&self) -> BTreeMap<ClusterName, Address> {
        self.target.iter().cloned().collect()
    }

    pub fn store(&self) -> Option<String> {
        let store = self.secret_store.clone();
        store.filter(|_| self.secrets == Secrets::External)
    }
}
