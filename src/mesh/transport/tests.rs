use super::*;
use crate::mesh::{NotOurs, found};

#[test]
fn only_a_busy_server_is_spared() {
    let mut state = State::default();
    let begun = |state: &mut State| (0..9).filter(|_| state.enter(Change::Write)).count();
    assert_eq!(begun(&mut state), 9);
    state.put_off.times = 1;
    assert_eq!(begun(&mut state), 0);
    (state.in_flight, state.writing) = (1, 1);
    assert_eq!(begun(&mut state), 3);
}

#[test]
fn after_an_interrupt_only_looks_begin() {
    let mut state = State {
        stopped: true,
        ..State::default()
    };
    let changes = [Change::Write, Change::Delete, Change::None];
    assert_eq!(changes.map(|c| state.enter(c)), [false, false, true]);
}

/// Where nothing listens.
async fn nowhere() -> (Client, Transport) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::new(http::Uri::from_static("https://127.0.0.1:1"));
    Transport::open(config).await.unwrap()
}

#[tokio::test]
async fn no_write_is_sent_without_a_lease_that_is_ours() {
    let (client, transport) = nowhere().await;
    let tenure = Tenure::default();
    transport.write_under(&tenure);
    let refused = async |method: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/api/v1/namespaces/a");
        let sent = client.send(request.body(Body::empty()).unwrap()).await;
        found::<NotOurs>(&sent.unwrap_err()).copied()
    };
    assert_eq!(refused("PATCH").await, None, "it was sent");
    tenure.lost();
    for method in ["PATCH", "POST", "PUT", "DELETE"] {
        assert_eq!(refused(method).await, Some(NotOurs::Lost), "{method}");
    }
    assert_eq!(refused("GET").await, None, "it was sent");
}

#[tokio::test]
async fn no_date_of_a_server_is_too_late() {
    let (_, transport) = nowhere().await;
    let mut headers = HeaderMap::new();
    for date in [
        "Thu, 30 Dec 9999 22:00:00 GMT",
        "Mon, 1 Jan 0001 00:00:00 GMT",
        "-1",
        "",
        "\u{1}",
    ] {
        let Ok(date) = date.parse() else { continue };
        headers.insert(DATE, date);
        transport.heard(Change::None, StatusCode::OK, &headers);
        let _ = transport.server_time();
    }
    let before = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
    transport.state().clock = Some((Timestamp::MAX, before));
    assert_eq!(transport.server_time(), None);
}
