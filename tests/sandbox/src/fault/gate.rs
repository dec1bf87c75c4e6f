//! Holds requests back until a test lets them pass, so that the test can do something in between.

use std::sync::Arc;

use tokio::sync::watch::{Sender, channel};

/// A gate that starts closed. Clones share its state.
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
        // The sender is part of this gate, so it cannot be gone.
        let _ = open.wait_for(|open| *open).await;
    }
}

impl PartialEq for Gate {
    fn eq(&self, other: &Gate) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
