//! Answers without an end, and lists without a measure.
