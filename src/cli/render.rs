//! What `render` is given: names in the place of contexts, as no cluster is asked.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Images, values};
use crate::mesh::{Address, ClusterName};

#[derive(Args, Debug)]
pub struct Render {
    /// Istio cluster id of the home cluster, where Kiali will run
    #[arg(long, value_name = "NAME", value_parser = ClusterName::new)]
    pub home: ClusterName,
    /// Istio cluster id of a remote cluster, which Kiali will see; once for each
    #[arg(long, value_name = "NAME", required = true, value_parser = ClusterName::new)]
    pub remote: Vec<ClusterName>,
    /// Folder for the files, in one folder for each cluster
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Where the Gateway of a cluster's Prometheus is reached from home; once for each cluster
    #[arg(long, value_name = "NAME=HOST:PORT", value_parser = values::target)]
    target: Vec<(ClusterName, Address)>,
    /// Write a kustomization.yaml into each folder
    #[arg(long)]
    pub kustomize: bool,
    /// Only what an administrator must make, so that an admin of the namespaces can make the rest
    #[arg(long)]
    pub rbac: bool,
    /// What stands for the Secret with Kiali's ways into the remotes
    #[arg(long, value_enum, default_value_t = Secrets::Placeholder)]
    secrets: Secrets,
    /// ClusterSecretStore of the external secret
    #[arg(long, value_name = "NAME", required_if_eq("secrets", "external"))]
    secret_store: Option<String>,
    /// Write into a folder that holds something else too
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub images: Images,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Secrets {
    /// A Secret without data, which an install fills
    Placeholder,
    /// An ExternalSecret (external-secrets.io/v1)
    External,
}

impl Render {
    /// The last word counts.
    pub fn targets(&self) -> BTreeMap<ClusterName, Address> {
        self.target.iter().cloned().collect()
    }

    pub fn store(&self) -> Option<String> {
        let store = self.secret_store.clone();
        store.filter(|_| self.secrets == Secrets::External)
    }
}
