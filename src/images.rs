//! The images that an install makes a cluster run: pinned ones, unless the user names others.

mod reference;

use serde_json::{Value, json};

use reference::{parts, split};
pub use reference::{reference, registry};

/// Pinned: what was tested is what runs. One image serves in each cluster and over them.
pub const PROMETHEUS: &str = "prom/prometheus:v3.12.0@sha256:69f5241418838263316593f7274a304b095c40bcf22e57272865da91bd60a8ac";
pub const KIALI_OPERATOR: &str = "quay.io/kiali/kiali-operator:v2.29.0";
/// The operator's own choice, by its version.
pub const KIALI: &str = "quay.io/kiali/kiali:v2.29.0";

/// How people call the components that have one.
pub const COMPONENTS: [&str; 3] = ["prometheus", "kiali-operator", "kiali"];

const DEFAULTS: [&str; 3] = [PROMETHEUS, KIALI_OPERATOR, KIALI];

/// One for each component, in their order. Each has a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images([String; 3]);

impl Default for Images {
    fn default() -> Images {
        Images(DEFAULTS.map(Into::into))
    }
}

impl Images {
    /// The image that is named for a component wins over the registry of all.
    pub fn named<'a>(
        registry: Option<&str>,
        image: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Images {
        let one = |number: usize| match image(COMPONENTS[number]) {
            Some(image) => image.to_string(),
            None => match registry {
                Some(registry) => format!("{registry}/{}", split(DEFAULTS[number]).1),
                None => DEFAULTS[number].into(),
            },
        };
        Images([one(0), one(1), one(2)])
    }

    /// With the names of their components.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        COMPONENTS
            .into_iter()
            .zip(self.0.iter().map(String::as_str))
    }

    /// For manifests; Kiali's is null where the operator is to choose.
    pub fn values(&self) -> Value {
        let [prometheus, operator, _] = &self.0;
        json!({"prometheus": prometheus, "kiali_operator": operator, "kiali": self.kiali()})
    }

    /// Whether the operator must be told of Kiali's, and be allowed to use it.
    pub fn own_kiali(&self) -> bool {
        self.0[2] != KIALI
    }

    /// As a Kiali CR has it. The operator joins the parts to `name:version`, or, where `digest` says of
    /// what kind the version is, to `name@digest:version`.
    fn kiali(&self) -> Value {
        if !self.own_kiali() {
            return Value::Null;
        }
        let (name, tag, digest) = parts(&self.0[2]);
        match digest.and_then(|digest| digest.split_once(':')) {
            Some((kind, hash)) => json!({"name": name, "digest": kind, "version": hash}),
            None => json!({"name": name, "digest": null, "version": tag}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn images(options: &[(&str, &str)]) -> Images {
        let asked = options.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        Options::default().with(&asked.collect()).images()
    }

    #[test]
    fn a_registry_keeps_path_tag_and_digest_and_an_image_of_its_own_wins() {
        assert_eq!(images(&[]), Images::default());
        let digest = PROMETHEUS.split_once('@').unwrap().1;
        let mirrored = images(&[
            ("registry", "r.example.com:5000/mirror"),
            ("image.kiali", "a.b/k:v9"),
        ]);
        assert_eq!(
            mirrored.0,
            [
                format!("r.example.com:5000/mirror/prom/prometheus:v3.12.0@{digest}"),
                "r.example.com:5000/mirror/kiali/kiali-operator:v2.29.0".into(),
                "a.b/k:v9".into(),
            ]
        );
    }

    #[test]
    fn the_operator_is_told_of_an_image_that_is_not_its_own_choice() {
        assert_eq!(
            images(&[("image.kiali", KIALI)]).values()["kiali"],
            Value::Null
        );
        let kiali = |image: &str| images(&[("image.kiali", image)]).values()["kiali"].clone();
        assert_eq!(
            kiali("r:5000/kiali/kiali:v2"),
            json!({"name": "r:5000/kiali/kiali", "digest": null, "version": "v2"})
        );
        let hash = "0".repeat(64);
        assert_eq!(
            kiali(&format!("r:5000/kiali/kiali:v2@sha256:{hash}")),
            json!({"name": "r:5000/kiali/kiali", "digest": "sha256", "version": hash})
        );
    }
}
