//! Which istiod handles a Gateway. An istiod with a revision handles only objects whose label `istio.io/rev`
//! is its revision or one of its tags. Only the tag `default` makes it handle objects without the label.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;

use super::is_dns_label;

pub const LABEL: &str = "istio.io/rev";
pub const TAG: &str = "istio.io/tag";
const DEFAULT: &str = "default";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Revision {
    /// The default istiod, which handles objects without the label.
    #[default]
    Default,
    /// This revision has the tag `default`, so it handles objects without the label.
    Tagged(String),
    /// No istiod handles objects without the label, so Gateways are labelled with this revision.
    Labelled(String),
    /// No istiod handles objects without the label, and several revisions could be used.
    Unclear(Vec<String>),
}

/// A revision tag, read from its webhook.
pub struct Tag {
    pub name: String,
    pub revision: String,
}

impl Revision {
    /// Chooses among the istiods of one namespace. `namespace` is the label of that namespace.
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

    /// The revision label that a Gateway needs, if any.
    pub fn label(&self) -> Option<&str> {
        match self {
            Revision::Labelled(revision) => Some(revision),
            _ => None,
        }
    }

    /// Name of the ConfigMap with this istiod's mesh configuration.
    pub fn config_map(&self) -> String {
        match self {
            Revision::Tagged(revision) | Revision::Labelled(revision) if revision != DEFAULT => {
                format!("istio-{revision}")
            }
            _ => "istio".into(),
        }
    }
}

/// The revisions of all istiods, from the chart's label. Old istiods have no label.
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

/// The istiods in a namespace.
pub fn within(istiods: &[Deployment], namespace: &str) -> Vec<Deployment> {
    let inside = |d: &&Deployment| d.namespace().as_deref() == Some(namespace);
    istiods.iter().filter(inside).cloned().collect()
}

/// The istiods in Istio's namespace; if there are none, those in all namespaces. Anyone with a namespace can
/// create a Deployment with istiod's label, so those do not count beside a real istiod.
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
    fn the_istiod_that_handles_a_gateway_is_found() {
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
            // A tag of a removed revision does not count.
            (&["1-28"], &[("default", "1-27")], None, labelled("1-28")),
            (
                &["1-27", "1-28"],
                &[("default", "1-26")],
                None,
                unclear(&["1-27", "1-28"]),
            ),
            // The label of the namespace applies to objects in it.
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
