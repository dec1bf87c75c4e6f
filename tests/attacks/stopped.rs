//! A run that was stopped writes nothing under a Lease that it may have lost.
