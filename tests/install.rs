//! `install` creates the guide's objects, once.

use crate::support::{Clusters, masked, progress, to_an_install, unwritten};

#[test]
fn an_install_says_what_it_does_and_a_second_one_writes_nothing() {
    to_an_install(async |clusters| {
        let first = clusters.install(&[]).await.succeeded();
        assert_eq!(
            masked(&first.stdout),
            "\
Ready in TIME: Kiali in cluster1 sees cluster1, cluster2
Kiali asks for no login: anyone who can reach it sees every cluster and can change nothing.
Next:  ambikiali verify
       ambikiali dashboard
"
        );
        assert_eq!(
            progress(&first.stderr),
            "\
cluster1      aggregate metrics   done     created 4; scrapes 2 clusters
cluster1      cluster prometheus  done     created 6
cluster1      expose prometheus   done     https://ADDRESS:9090/federate
cluster1      kiali               done     sees cluster1, cluster2
cluster1      kiali operator      done     created 4
cluster1      namespace           done     kiali created
cluster1      remote secret       done     created 1 for cluster2
cluster2      cluster prometheus  done     created 6
cluster2      expose prometheus   done     https://ADDRESS:9090/federate
cluster2      kiali operator      done     created 4
cluster2      namespace           done     kiali created
cluster2      remote cluster      done     created 1
"
        );
        every_image_is_listed(clusters).await;
        let marks = clusters.marks();
        clusters.install(&[]).await.succeeded();
        unwritten(&marks);
    });
}

/// `version` shows the same images as `images`.
async fn every_image_is_listed(clusters: &Clusters) {
    let images = clusters.run(&["images"]).await.succeeded().stdout;
    let version = clusters.run(&["version"]).await.succeeded().stdout;
    let mut lines = version.lines();
    let own = format!("ambikiali {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines.next(), Some(own.as_str()));
    let running = lines.map(|line| line.rsplit_once(' ').expect("an image").1);
    let running = running.collect::<Vec<_>>();
    assert_eq!(running.len(), 6, "{version}");
    for image in running {
        let (reference, digest) = image
            .split_once('@')
            .unwrap_or((image, "no digest is pinned"));
        let listed = |line: &str| line.contains(reference) && line.ends_with(digest);
        assert!(images.lines().any(listed), "{image}: {images}");
    }
}
