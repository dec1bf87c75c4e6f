//! What requests wait at until a test lets them pass: for what must happen in between.

use std::sync::Arc;

use tokio::sync::watch::{Sender, channel};

/// Closed at first; clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Sender<bool>>);

impl Gate {
    pub fn closed() -> Gate {
        Gate(Arc::new(channel(false).0))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub async fn opened(&self) {
        let mut open = self.0.subscribe();
        // The sender is in this gate and cannot be gone.
        let _ = open.wait_for(|open| *open).await;
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Gate) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
