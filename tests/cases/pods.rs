//! Pods that a cluster would refuse are found before the first write.
