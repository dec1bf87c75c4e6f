//! Polls for a condition.

use std::time::{Duration, Instant};

/// Far longer than anything takes that a test waits for, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(240);
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Polls until the condition holds. The more a look costs, the longer is the pause after it, so that the looks do not slow
/// down what they wait for.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    loop {
        let begin = Instant::now();
        if holds().await {
            return;
        }
        assert!(Instant::now() < end, "still not: {what}");
        let pause = begin.elapsed() * 2;
        tokio::time::sleep(pause.clamp(PAUSE, LONGEST_PAUSE)).await;
    }
}
