//! The images of an install: pinned ones, unless the user sets others.

mod reference;

use serde_json::{Value, json};

use reference::{parts, split};
pub use reference::{reference, registry};

/// Pinned, so that the tested image runs. Used in each cluster and for federation.
pub const PROMETHEUS: &str = "prom/prometheus:v3.12.0@sha256:69f5241418838263316593f7274a304b095c40bcf22e57272865da91bd60a8ac";
pub const KIALI_OPERATOR: &str = "quay.io/kiali/kiali-operator:v2.29.0";
/// The operator's default for its version.
pub const KIALI: &str = "quay.io/kiali/kiali:v2.29.0";

/// The components that have an image.
pub const COMPONENTS: [&str; 3] = ["prometheus", "kiali-operator", "kiali"];

const DEFAULTS: [&str; 3] = [PROMETHEUS, KIALI_OPERATOR, KIALI];

/// One image per component, in the order of `COMPONENTS`. Each has a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images([String; 3]);

impl Default for Images {
    fn default() -> Images {
        Images(DEFAULTS.map(Into::into))
    }
}

impl Images {
    /// An image of a component overrides the registry.
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

    /// All images with the names of their components.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        COMPONENTS
            .into_iter()
            .zip(self.0.iter().map(String::as_str))
    }

    /// The values for manifests. Kiali's image is null if the operator should use its default.
    pub fn values(&self) -> Value {
        let [prometheus, operator, _] = &self.0;
        json!({"prometheus": prometheus, "kiali_operator": operator, "kiali": self.kiali()})
    }

    /// Whether Kiali's image is not the operator's default, so that the operator must be configured to use it.
    pub fn own_kiali(&self) -> bool {
        self.0[2] != KIALI
    }

    /// Whether an operator that was configured with these images runs this one. By default, an operator of another version
    /// uses another tag.
    pub fn is_kiali(&self, image: &str) -> bool {
        let (name, tag, digest) = parts(&self.0[2]);
        let (its_name, its_tag, its_digest) = parts(image);
        let same = match (self.own_kiali(), digest) {
            (true, Some(_)) => digest == its_digest,
            (true, None) => tag == its_tag && its_digest.is_none(),
            (false, _) => its_digest.is_none(),
        };
        name == its_name && same
    }

    /// Kiali's image as the Kiali CR takes it. The operator joins the parts to `name:version`, or to
    /// `name@digest:version` if `digest` is set.
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
        Options::default().with(&asked.collect()).settings().images
    }

    #[test]
    fn an_image_of_kiali_is_what_the_operator_was_told() {
        let of = |image: &str| Images([String::new(), String::new(), image.into()]);
        let (usual, own) = (Images::default(), of("mirror.example:5000/k/kiali:v1"));
        let hash = "sha256:69f5241418838263316593f7274a304b095c40bcf22e57272865da91bd60a8ac";
        let exact = of(&format!("mirror.example/k/kiali:v1@{hash}"));
        assert!(usual.is_kiali(KIALI) && usual.is_kiali("quay.io/kiali/kiali:v2.30.0"));
        assert!(!usual.is_kiali("evil.example/kiali/kiali:v2.29.0"));
        assert!(!usual.is_kiali(&format!("quay.io/kiali/kiali@{hash}")));
        assert!(own.is_kiali("mirror.example:5000/k/kiali:v1"));
        assert!(!own.is_kiali("mirror.example:5000/k/kiali:v2") && !own.is_kiali(KIALI));
        assert!(exact.is_kiali(&format!("mirror.example/k/kiali@{hash}")));
        assert!(!exact.is_kiali("mirror.example/k/kiali:v1"));
    }

    #[test]
    fn a_registry_keeps_path_tag_and_digest_and_an_image_option_overrides_it() {
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
    fn the_kiali_cr_has_an_image_that_is_not_the_operators_default() {
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
