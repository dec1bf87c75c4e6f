//! Rendering stays inside its folder.
