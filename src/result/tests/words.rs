//! Each word of an enum is in its schema, and no other.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;

use super::{schema, words};
use crate::cli::Shell;
use crate::code::Severity;
use crate::doctor::Likelihood;
use crate::guide::Step;
use crate::k8s::change::What;
use crate::problem::Exit;
use crate::result::event::Name;
use crate::result::fleet::Role;
use crate::result::{Outcome, Place, State};
use crate::verify::{Hop, Verdict};

/// All variants of an enum: a new one does not compile before it is listed.
macro_rules! each {
    ($type:ident: $($variant:ident),+ $(,)?) => {{
        fn _listed(one: $type) {
            match one { $($type::$variant => {})+ }
        }
        vec![$($type::$variant),+]
    }};
}

fn spelt<T: Serialize>(variants: Vec<T>) -> BTreeSet<String> {
    let spelt = variants.into_iter().map(|variant| json!(variant));
    words(&spelt.collect())
}

#[test]
fn each_word_of_an_enum_is_in_the_schema_and_no_other() {
    let steps = each!(Step: Namespace, ClusterPrometheus, ExposePrometheus, RemoteWrite, AggregateMetrics,
        KialiOperator, RemoteCluster, RemoteSecret, Kiali, Probes);
    let hops = each!(Hop: ApiServer, Components, ScrapeTarget, Exposure, RemoteWrite, Store, RemoteAccess, Rights,
        Kiali, Flow, Probes);
    let names = each!(Name: Started, Waiting, Arrived, Note, Done, Failed, Found, Ended, Flow);
    let shells = each!(Shell: Bash, Elvish, Fish, Powershell, Zsh);
    let shells = shells.into_iter().map(Shell::name).collect();
    let common = BTreeMap::from([
        (
            "outcome",
            spelt(each!(Outcome: Succeeded, Failed, Changes, Interrupted)),
        ),
        ("severity", spelt(each!(Severity: Error, Warning, Note))),
        ("step", spelt(steps)),
        ("hopName", spelt(hops)),
        (
            "verdict",
            spelt(each!(Verdict: Holds, Broken, Unproven, Skipped)),
        ),
        ("cluster/properties/role", spelt(each!(Role: Home, Remote))),
        (
            "component/properties/state",
            spelt(each!(State: Ready, NotReady, Failed, Drifted)),
        ),
        (
            "change/properties/action",
            spelt(each!(What: Create, Change, Delete, Replace, Hold, Reuse, Keep)),
        ),
    ]);
    let defs = &schema("common")["$defs"];
    for (place, spelt) in common {
        let list = defs.pointer(&format!("/{place}/enum"));
        assert_eq!(words(list.expect(place)), spelt, "{place}");
    }
    let places = each!(Place: Requests, Source, Destination, Metrics, Kiali);
    let place = &schema("VerifyResult")["properties"]["flows"]["items"]["properties"]["hops"]["items"]
        ["properties"]["hop"]["enum"];
    assert_eq!(words(place), spelt(places));
    let likelihoods = each!(Likelihood: Seen, Likely, Possible);
    let likelihood = &schema("DoctorResult")["properties"]["causes"]["items"]["properties"]["likelihood"]
        ["enum"];
    assert_eq!(words(likelihood), spelt(likelihoods));
    let event = &schema("Event")["properties"]["event"]["enum"];
    // With --watch, each change is a line too.
    let mut events = spelt(names);
    events.insert("changed".into());
    assert_eq!(words(event), events);
    let shell = &schema("CompletionsResult")["properties"]["shell"]["enum"];
    assert_eq!(words(shell), spelt::<&str>(shells));
}

#[test]
fn each_exit_code_is_in_the_schema_with_its_outcome() {
    let exits = each!(Exit: Unexpected, Usage, Preflight, TimedOut, NotVerified, Partial,
        Unreachable, Conflict, Changes);
    let mut expected = BTreeMap::from([
        ("succeeded", BTreeSet::from(["0".to_string()])),
        ("interrupted", BTreeSet::from(["130".into(), "143".into()])),
    ]);
    for exit in exits {
        let outcome = match exit {
            Exit::Changes => "changes",
            _ => "failed",
        };
        let codes = expected.entry(outcome).or_default();
        codes.insert((exit as u8).to_string());
    }
    let common = schema("common");
    let ends = common["$defs"]["ended"]["oneOf"].as_array().unwrap();
    let ends = ends.iter().map(|end| {
        let end = &end["properties"];
        (
            end["outcome"]["const"].as_str().unwrap(),
            words(&end["exitCode"]["enum"]),
        )
    });
    assert_eq!(ends.collect::<BTreeMap<_, _>>(), expected);
}
