//! A set of clusters with their mesh and stand-ins, which start and end together.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use kube::config::Kubeconfig;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::delays::Delays;
use crate::mesh;
use crate::run::{Run, target};
use crate::standin::{self, World, load_balancer, sample};
use crate::tools::Tools;

/// A running set of clusters.
pub struct Sandbox {
    // Dropped first, so that no stand-in reports that its cluster is gone.
    _standins: JoinSet<()>,
    clusters: Vec<Cluster>,
    kubeconfig: PathBuf,
    world: World,
    tools: Tools,
    run: Run,
}

impl Sandbox {
    /// Starts clusters with these names, joins them to a mesh and starts the stand-ins. Passes lines about its progress
    /// to `say`. The first start on a machine builds the programs, which takes ten minutes.
    pub async fn start(
        names: &[&str],
        delays: Delays,
        mut say: impl FnMut(&str),
    ) -> Result<Sandbox> {
        let tools = Tools::ensure(&target()?, &mut say)?;
        let begin = Instant::now();
        let run = tokio::task::spawn_blocking(Run::start).await??;
        let starts = names
            .iter()
            .map(|name| Cluster::start(&run, &tools, name, delays));
        let (clusters, shared) = tokio::join!(try_join_all(starts), mesh::prepare(&tools));
        let (clusters, shared) = (clusters?, shared?);
        let names = names.join(", ");
        say(&format!("{names}: up after {:.1?}", begin.elapsed()));
        let meshes = clusters
            .iter()
            .enumerate()
            .map(|(index, cluster)| mesh::install(cluster, &shared, index));
        // Report a start that hangs instead of waiting forever.
        let meshed = tokio::time::timeout(Duration::from_secs(300), try_join_all(meshes)).await;
        meshed.with_context(|| format!("{names}: not in the mesh after 300 s"))??;
        mesh::join(&clusters).await?;
        say(&format!(
            "{names}: in the mesh after {:.1?}",
            begin.elapsed()
        ));
        let kubeconfig = write_kubeconfig(run.folder(), &clusters)?;
        let world = World {
            delays: Arc::new(RwLock::new(Delays::NONE)),
            traffic: sample::Traffic::default(),
            load_balancers: load_balancer::Switch::default(),
            prometheus: tools.prometheus.clone(),
            promtool: tools.promtool.clone(),
            envoy: tools.envoy.clone(),
            sandbox_binary: run.sandbox_binary().into(),
        };
        let mut standins = JoinSet::new();
        for cluster in &clusters {
            standins.spawn(watched(cluster.clone(), world.clone()));
        }
        try_join_all(clusters.iter().map(mesh::ready)).await?;
        // The delays apply only to what is created from now on.
        world.change_delays(|own| *own = delays);
        say(&format!("all pods ready after {:.1?}", begin.elapsed()));
        Ok(Sandbox {
            _standins: standins,
            clusters,
            kubeconfig,
            world,
            tools,
            run,
        })
    }

    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// Returns the cluster with this name. Panics if there is none.
    pub fn cluster(&self, name: &str) -> &Cluster {
        let found = self.clusters.iter().find(|cluster| cluster.name() == name);
        found.unwrap_or_else(|| panic!("this sandbox has no cluster {name}"))
    }

    /// The path of a kubeconfig with a context for each cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What the stand-ins share. Delays can be changed while they run.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The programs that it runs.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// The folder with all files of this sandbox.
    pub fn folder(&self) -> &Path {
        self.run.folder()
    }

    /// Stops everything. Nothing of the sandbox is left on return.
    pub async fn stop(self) -> Result<()> {
        let Sandbox {
            _standins: mut standins,
            run,
            clusters,
            ..
        } = self;
        standins.shutdown().await;
        drop(clusters);
        tokio::task::spawn_blocking(|| run.end()).await?
    }
}

/// Runs the stand-ins of a cluster and reports a panic, after which the cluster would only seem to do nothing.
async fn watched(cluster: Cluster, world: World) {
    let name = cluster.name().to_string();
    let ended = tokio::spawn(standin::run(cluster, world));
    let ended = tokio_util::task::AbortOnDropHandle::new(ended).await;
    match ended {
        Err(err) if err.is_panic() => eprintln!("\nA STAND-IN OF {name} PANICKED: {err}\n"),
        Err(_) => {}
        Ok(()) => eprintln!("\nTHE STAND-INS OF {name} ENDED\n"),
    }
}

fn write_kubeconfig(folder: &Path, clusters: &[Cluster]) -> Result<PathBuf> {
    let mut all = Kubeconfig::default();
    for cluster in clusters {
        all = all.merge(cluster.kubeconfig_data().clone())?;
    }
    let path = folder.join("kubeconfig");
    let text = serde_json::to_string_pretty(&all)?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
