//! Reads one object for `status` and `verify`, with the same health functions as the waits.

use kube::Api;
use kube::core::Resource;
use serde::de::DeserializeOwned;

use super::Scope;
use super::health::Health;
use super::request::send_opt;
use crate::code::Code;
use crate::progress::ObjectId;

/// An object and its health.
#[derive(Clone, Debug)]
pub struct Component {
    pub object: ObjectId,
    pub health: Health,
    /// Additional information for the user.
    pub note: Option<String>,
    /// The code of what the reason or the note tells.
    pub code: Option<Code>,
}

impl Component {
    pub fn new(object: ObjectId, health: Health) -> Component {
        Component {
            object,
            health,
            note: None,
            code: None,
        }
    }
}

pub async fn look<K>(
    scope: &Scope<'_>,
    api: &Api<K>,
    object: ObjectId,
    health: impl FnOnce(Option<&K>) -> Health,
) -> Component
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let health = match send_opt(scope, &object, || api.get(&object.name)).await {
        Ok(found) => health(found.as_ref()),
        Err(refusal) => Health::Failed(refusal.text()),
    };
    Component::new(object, health)
}
