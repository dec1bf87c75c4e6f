use super::*;
use crate::standin::ztunnel::telemetry::Ztunnel;

const NEW: Option<(u32, u32)> = Some((1, 31));

fn answerer(cluster: &str) -> Answerer {
    Answerer {
        cluster: cluster.into(),
        pod: "p".into(),
        workload: Workload {
            named: Named::new("sample", "helloworld-v2"),
            app: "helloworld".into(),
            revision: "v2".into(),
            account: "default".into(),
        },
        address: None,
    }
}

fn opened(traffic: &Traffic, to: &str) -> Result<Connection> {
    let (sender, service) = (Workload::curl(), Named::helloworld());
    traffic.state().open("a", sender, service, &[answerer(to)])
}

fn received(ztunnel: &Ztunnel) -> Vec<(u64, u64, u64)> {
    let counts = ztunnel.counts();
    let edges = counts.edges.values();
    edges.map(|c| (c.opened, c.closed, c.received)).collect()
}

#[test]
fn each_end_counts_what_it_sees_as_it_comes() {
    let traffic = Traffic::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| Ztunnel::new(name, NEW, true));
    let _running = [&a, &b, &c].map(|ztunnel| traffic.carried_by(ztunnel));
    let connection = opened(&traffic, "b").expect("a connection");
    for end in [&a, &b] {
        assert_eq!(received(end), [(1, 0, 0)]);
    }
    connection.hello();
    connection.hello();
    assert_eq!(received(&a), [(1, 0, 2 * REQUEST)]);
    drop(connection);
    for end in [&a, &b] {
        assert_eq!(received(end), [(1, 1, 2 * REQUEST)]);
    }
    assert_eq!(received(&c), []);
    assert_eq!(a.counts().sending, Some(0));
    // The ztunnels keep their connection.
    assert_eq!(b.counts().receiving(), Some(1));
    assert_eq!(b.counts().sending, None);
}

#[test]
fn a_ztunnel_that_starts_again_has_counted_nothing() {
    let traffic = Traffic::default();
    let first = Ztunnel::new("a", NEW, true);
    let running = traffic.carried_by(&first);
    opened(&traffic, "a").expect("a connection").hello();
    // It reports both ends of the connection.
    assert_eq!(received(&first), [(1, 1, REQUEST), (1, 1, REQUEST)]);
    let second = Ztunnel::new("a", NEW, true);
    let _running = traffic.carried_by(&second);
    opened(&traffic, "a").expect("a connection").hello();
    drop(running);
    assert_eq!(received(&second), [(1, 1, REQUEST), (1, 1, REQUEST)]);
    assert_eq!(received(&first), [(1, 1, REQUEST), (1, 1, REQUEST)]);
}

#[test]
fn a_connection_that_fails_is_opened_and_moves_nothing() {
    let traffic = Traffic::default();
    let [a, b] = ["a", "b"].map(|name| Ztunnel::new(name, NEW, true));
    let here = traffic.carried_by(&a);
    let reset = |to| opened(&traffic, to).is_err_and(|error| error.is::<Reset>());
    assert!(reset("b"));
    let there = traffic.carried_by(&b);
    traffic.fail(Some(Failure::Connect));
    assert!(reset("b"));
    assert_eq!(received(&b), []);
    traffic.fail(Some(Failure::Deny));
    assert!(reset("b"));
    assert_eq!(received(&a), [(3, 0, 0), (0, 3, 0)]);
    assert_eq!(received(&b), [(1, 0, 0), (0, 1, 0)]);
    assert_eq!(a.counts().sending, Some(0));
    assert!(opened(&traffic, "a").is_ok());
    traffic.fail(None);
    assert!(opened(&traffic, "b").is_ok());
    drop((here, there));
    assert!(opened(&traffic, "b").is_err_and(|error| !error.is::<Reset>()));
}

#[test]
fn what_is_frozen_is_answered_and_not_counted() {
    let traffic = Traffic::default();
    let a = Ztunnel::new("a", NEW, true);
    let _running = traffic.carried_by(&a);
    traffic.freeze(true);
    let line = opened(&traffic, "a").expect("a connection").hello();
    assert_eq!(line, "Hello version: v2, instance: p\n");
    assert_eq!(received(&a), []);
}
