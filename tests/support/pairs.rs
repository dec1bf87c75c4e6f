//! Lends pairs of clusters to tests. A pair is clean, or it has an install that one test hands to the next, which saves a
//! cleanup and another install. An install that no test waits for is cleaned up at once.

mod installed;
mod pair;

use super::Clusters;
use installed::{Counted, Installed, KEEPING, MAKING, handed, is_waited_for};
use pair::Pair;

pub use pair::{PAIRS, RUNTIME, START};

/// Runs a test on a clean pair and checks that it left both clusters unchanged. A pair is not reused after a failed
/// test.
pub fn on_two_clusters(test: impl AsyncFnOnce(&Clusters)) {
    RUNTIME.block_on(async {
        let pair = Pair::take(pair::permit().await).await;
        pair.run(test).await;
        pair.assert_clean(&[]).await;
        pair.give_back();
    });
}

/// Runs a test on a pair with a default install and checks that it left everything as it was. Many such tests share one
/// install.
pub fn on_an_install(test: impl AsyncFnOnce(&Clusters)) {
    RUNTIME.block_on(async {
        let _keeping = Counted::new(&KEEPING);
        let installed = match handed(true).await {
            Ok(installed) => installed,
            Err((permit, shared)) => {
                let pair = Pair::take(permit).await;
                pair.run(Clusters::installed).await;
                Installed::new(pair, shared).await
            }
        };
        installed.pair.run(test).await;
        installed.assert_unchanged().await;
        installed.hand_on().await;
    });
}

/// Runs a test on a pair with a default install, which the test cleans up. Checks that nothing of it is left.
pub fn from_an_install(test: impl AsyncFnOnce(&Clusters)) {
    RUNTIME.block_on(async {
        let (pair, by) = match handed(false).await {
            Ok(Installed { pair, by, .. }) => (pair, by),
            Err((permit, _)) => {
                let pair = Pair::take(permit).await;
                pair.run(Clusters::installed).await;
                (pair, Vec::new())
            }
        };
        pair.run(test).await;
        pair.assert_clean(&by).await;
        pair.give_back();
    });
}

/// Runs a test on a clean pair, which the test leaves with an install. Hands it to a test that waits for one, after
/// another install that makes it a default one, or cleans it up and checks that nothing is left.
pub fn to_an_install(test: impl AsyncFnOnce(&Clusters)) {
    RUNTIME.block_on(async {
        let _making = Counted::new(&MAKING);
        let pair = Pair::take(pair::permit().await).await;
        pair.run(test).await;
        if !is_waited_for() {
            return pair.clean_up(&[]).await;
        }
        pair.run(Clusters::installed).await;
        Installed::new(pair, None).await.hand_on().await;
    });
}
