//! What the user's options decide about the objects of an install, in the form that the steps need.

use crate::exposure::Exposure;
use crate::images::Images;

#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub images: Images,
    /// Whether Kiali may change what it shows.
    pub allow_write: bool,
    /// Who may reach the Gateways.
    pub exposure: Exposure,
}
