//! One look at one object, for `status` and `verify`: the same judgement as a wait, asked once.

use kube::Api;
use kube::core::Resource;
use serde::de::DeserializeOwned;

use super::Scope;
use super::health::Health;
use super::request::send_opt;
use crate::progress::ObjectId;

/// An object and how it is.
#[derive(Clone, Debug)]
pub struct Component {
    pub object: ObjectId,
    pub health: Health,
    /// What else is worth to be known of it.
    pub note: Option<String>,
}

impl Component {
    pub fn new(object: ObjectId, health: Health) -> Component {
        Component {
            object,
            health,
            note: None,
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
