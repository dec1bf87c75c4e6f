use super::*;
use crate::mesh::{LeaseError, found};

#[test]
fn only_a_throttling_server_gets_fewer_concurrent_requests() {
    let mut state = State::default();
    let admitted = |state: &mut State| (0..9).filter(|_| state.try_admit(Effect::Write)).count();
    assert_eq!(admitted(&mut state), 9);
    state.throttled.times = 1;
    assert_eq!(admitted(&mut state), 0);
    (state.in_flight, state.writing) = (1, 1);
    assert_eq!(admitted(&mut state), 3);
}

#[test]
fn after_an_interrupt_only_reads_are_sent() {
    let mut state = State {
        stopped: true,
        ..State::default()
    };
    let changes = [Effect::Write, Effect::Delete, Effect::None];
    assert_eq!(changes.map(|c| state.try_admit(c)), [false, false, true]);
}

/// An address where nothing listens.
async fn nowhere() -> (Client, Transport) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = Config::new(http::Uri::from_static("https://127.0.0.1:1"));
    Transport::open(config).await.unwrap()
}

#[tokio::test]
async fn no_write_is_sent_after_the_lease_is_lost() {
    let (client, transport) = nowhere().await;
    let lease = LeaseState::default();
    transport.write_under(&lease);
    let refused = async |method: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/api/v1/namespaces/a");
        let sent = client.send(request.body(Body::empty()).unwrap()).await;
        found::<LeaseError>(&sent.unwrap_err()).copied()
    };
    assert_eq!(refused("PATCH").await, None, "it was sent");
    lease.set_lost();
    for method in ["PATCH", "POST", "PUT", "DELETE"] {
        assert_eq!(refused(method).await, Some(LeaseError::Lost), "{method}");
    }
    assert_eq!(refused("GET").await, None, "it was sent");
}

#[tokio::test]
async fn any_date_of_a_server_is_accepted() {
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
        transport.record(Effect::None, StatusCode::OK, &headers);
        let _ = transport.server_time();
    }
    let before = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
    transport.state().clock = Some((Timestamp::MAX, before));
    assert_eq!(transport.server_time(), None);
}
