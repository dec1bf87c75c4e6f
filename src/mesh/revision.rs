//! Which istiod looks at a Gateway. One of a revision looks only at what is labelled `istio.io/rev` with
//! that revision, or with a tag of it; only the tag `default` makes it look at what has no label.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;

use super::is_dns_label;

pub const LABEL: &str = "istio.io/rev";
pub const TAG: &str = "istio.io/tag";
const DEFAULT: &str = "default";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Revision {
    /// It looks at all that has no label.
    #[default]
    Default,
    /// So does this one, by the tag `default`.
    Tagged(String),
    /// Nobody looks at what has no label, and this one looks at what has its name.
    Labelled(String),
    /// Nobody looks at what has no label, and it is not known whose name to take.
    Unclear(Vec<String>),
}

/// A revision tag, by the webhook that stands for it.
pub struct Tag {
    pub name: String,
    pub revision: String,
}

impl Revision {
    /// Of the istiods in one namespace. `namespace` is that one's own label.
    pub fn of(istiods: &[Deployment], tags: &[Tag], namespace: Option<&str>) -> Revision {
        let all = revisions(istiods);
        let wanted = namespace.unwrap_or(DEFAULT);
        let tag = tags.iter().find(|tag| tag.name == wanted);
        let wanted = tag.map_or(wanted, |tag| tag.revision.as_str());
        if all.is_empty() || (wanted == DEFAULT && all.contains(DEFAULT)) {
            return Revision::Default;
        }
        if all.contains(wanted) && is_dns_label(wanted) {
            return Revision::Tagged(wanted.into());
        }
        let all = all.into_iter().map(str::to_owned).collect::<Vec<_>>();
        match all.as_slice() {
            [one] if is_dns_label(one) => Revision::Labelled(one.clone()),
            _ => Revision::Unclear(all),
        }
    }

    /// What a Gateway has to be labelled with.
    pub fn label(&self) -> Option<&str> {
        match self {
            Revision::Labelled(revision) => Some(revision),
            _ => None,
        }
    }

    /// The ConfigMap of that istiod's configuration.
    pub fn config_map(&self) -> String {
        match self {
            Revision::Tagged(revision) | Revision::Labelled(revision) if revision != DEFAULT => {
                format!("istio-{revision}")
            }
            _ => "istio".into(),
        }
    }
}

/// Of the chart's label on each istiod; one of before there were revisions has none.
pub fn revisions(istiods: &[Deployment]) -> BTreeSet<&str> {
    istiods.iter().map(revision).collect()
}

fn revision(istiod: &Deployment) -> &str {
    let pods = istiod.spec.template.metadata.as_ref();
    let labels = [
        istiod.metadata.labels.as_ref(),
        pods.and_then(|p| p.labels.as_ref()),
    ];
    let mut named = labels.into_iter().filter_map(|labels| labels?.get(LABEL));
    named
        .find(|name| !name.is_empty())
        .map_or(DEFAULT, |name| name)
}

/// Those in that namespace.
pub fn within(istiods: &[Deployment], namespace: &str) -> Vec<Deployment> {
    let inside = |d: &&Deployment| d.namespace().as_deref() == Some(namespace);
    istiods.iter().filter(inside).cloned().collect()
}

/// Those where Istio is, whatever carries their label elsewhere: whoever has a namespace may make one there.
/// Only without any, those elsewhere.
pub fn counting(istiods: &[Deployment], namespace: &str) -> Vec<Deployment> {
    let inside = within(istiods, namespace);
    match inside.is_empty() {
        true => istiods.to_vec(),
        false => inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn istiods(revisions: &[&str]) -> Vec<Deployment> {
        let one = |revision: &&str| {
            let labels = match *revision {
                "" => json!({}),
                revision => json!({LABEL: revision}),
            };
            let meta = json!({"name": "istiod", "labels": labels});
            let spec = json!({"selector": {}, "template": {}});
            serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap()
        };
        revisions.iter().map(one).collect()
    }

    fn of(revisions: &[&str], tags: &[(&str, &str)], namespace: Option<&str>) -> Revision {
        let tags = tags.iter().map(|(name, revision)| Tag {
            name: (*name).into(),
            revision: (*revision).into(),
        });
        Revision::of(&istiods(revisions), &tags.collect::<Vec<_>>(), namespace)
    }

    #[test]
    fn the_istiod_that_looks_at_a_gateway_is_known() {
        let tagged = |r: &str| Revision::Tagged(r.into());
        let labelled = |r: &str| Revision::Labelled(r.into());
        let unclear = |all: &[&str]| Revision::Unclear(all.iter().map(|r| (*r).into()).collect());
        for (revisions, tags, namespace, wanted) in [
            (&[][..], &[][..], None, Revision::Default),
            (&[""], &[], None, Revision::Default),
            (&["default"], &[], None, Revision::Default),
            (&["default", "1-28"], &[], None, Revision::Default),
            (&["1-28"], &[], None, labelled("1-28")),
            (&["1-28", "1-28"], &[], None, labelled("1-28")),
            (&["1-28"], &[("prod", "1-28")], None, labelled("1-28")),
            (&["1-28"], &[("default", "1-28")], None, tagged("1-28")),
            (
                &["1-27", "1-28"],
                &[("default", "1-28")],
                None,
                tagged("1-28"),
            ),
            (&["1-27", "1-28"], &[], None, unclear(&["1-27", "1-28"])),
            // A tag of a revision that is gone helps nobody.
            (&["1-28"], &[("default", "1-27")], None, labelled("1-28")),
            (
                &["1-27", "1-28"],
                &[("default", "1-26")],
                None,
                unclear(&["1-27", "1-28"]),
            ),
            // The namespace's own label counts for what is in it.
            (&["1-27", "1-28"], &[], Some("1-28"), tagged("1-28")),
            (
                &["1-27", "1-28"],
                &[("prod", "1-27")],
                Some("prod"),
                tagged("1-27"),
            ),
            (&["default", "1-28"], &[], Some("1-28"), tagged("1-28")),
            (&["A_b"], &[], None, unclear(&["A_b"])),
            (&["../x"], &[("default", "../x")], None, unclear(&["../x"])),
        ] {
            assert_eq!(
                of(revisions, tags, namespace),
                wanted,
                "{revisions:?} {tags:?}"
            );
        }
        assert_eq!(tagged("1-28").config_map(), "istio-1-28");
        assert_eq!(tagged("default").config_map(), "istio");
        assert_eq!(Revision::Default.config_map(), "istio");
        assert_eq!(labelled("1-28").label(), Some("1-28"));
        assert_eq!(tagged("1-28").label(), None);
    }
}
