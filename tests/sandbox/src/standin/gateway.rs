use super::World;
use crate::Cluster;

/// Never returns.
pub async fn run(cluster: Cluster, world: World) {
    let _ = (cluster, world);
    todo!()
}
