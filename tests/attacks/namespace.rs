//! Namespace kiali goes only when nothing of others is in it, and when that is known.
