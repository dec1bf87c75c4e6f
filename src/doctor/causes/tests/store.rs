//! Causes in a store of the user's.

use super::*;

#[test]
fn a_fleet_with_a_store_has_no_federation_and_its_own_causes() {
    let mut evidence = healthy();
    evidence.has_store = true;
    evidence.metrics = Err("the metrics are in the store".into());
    evidence.home.federation = Ok(None);
    let row = |code| Row {
        cluster: ClusterName::new(NAMES[1]).unwrap(),
        step: Step::RemoteWrite,
        component: Component {
            note: Some("the store refused 3 samples".into()),
            code: Some(code),
            ..Component::new(
                ObjectId::cluster_wide("Store", "http://store"),
                Health::Ready,
            )
        },
        drifted: false,
    };
    assert_eq!(judged(&evidence).0, [0; 0]);
    evidence.clusters[1].rows = Ok(vec![row(Code::SamplesRefused)]);
    assert_eq!(judged(&evidence).0, [1468]);
    evidence.clusters[1].rows = Ok(vec![row(Code::NotWritten)]);
    assert_eq!(judged(&evidence).0, [1462]);
    // The store tells the same, with less of the reason.
    let name = evidence.clusters[1].name.clone();
    let stored = |code| crate::verify::Finding {
        code: Some(code),
        ..crate::verify::Finding::on(Hop::Store, &name, Err("it lacks".into()))
    };
    evidence.stored = Ok(vec![stored(Code::NotWritten)]);
    assert_eq!(judged(&evidence).0, [1462]);
    evidence.clusters[1].rows = Ok(Vec::new());
    assert_eq!(judged(&evidence).0, [1462]);
    let of_store = [Code::WrittenTwice, Code::TooManyLabels].map(stored);
    evidence.stored = Ok(of_store.into());
    assert_eq!(judged(&evidence).0, [1469, 1461]);
    evidence.stored = Err("promtool did not run".into());
    assert!(
        judged(&evidence)
            .1
            .ends_with(&[1462, 1469, 1461, 1505, 1506, 1507, 1512, 1509, 1510])
    );
    evidence.stored = Ok(Vec::new());
    evidence.clusters[1].rows = Ok(vec![row(Code::NotWritten)]);
    // What a row says without a store is of another time.
    evidence.has_store = false;
    assert_eq!(judged(&evidence).0, [0; 0]);
}
