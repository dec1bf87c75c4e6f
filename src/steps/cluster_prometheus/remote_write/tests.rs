use super::*;

const LATE: Duration = Duration::from_secs(30);

const PAGE: &str = r#"# HELP prometheus_remote_storage_samples_total Total number of samples sent to remote storage.
# TYPE prometheus_remote_storage_samples_total counter
prometheus_remote_storage_samples_total{remote_name="other",url="http://192.0.2.1/api/v1/write"} 7
prometheus_remote_storage_samples_total{remote_name="ambikiali",url="http://192.0.2.7:8428/api/v1/write"} 667
prometheus_remote_storage_samples_failed_total{remote_name="ambikiali",url="http://192.0.2.7:8428/api/v1/write"} 2
prometheus_remote_storage_samples_in_total 667
prometheus_remote_storage_queue_highest_sent_timestamp_seconds{remote_name="ambikiali",url="http://192.0.2.7:8428/api/v1/write"} 1.796031526e+09
prometheus_remote_storage_queue_highest_timestamp_seconds{remote_name="ambikiali",url="http://192.0.2.7:8428/api/v1/write"} 1.796031534e+09
"#;

#[test]
fn the_counters_of_the_queue_are_read() {
    let read = Counters::read(PAGE).unwrap();
    let expected = Counters {
        newest: 1_796_031_534.0,
        sent: 1_796_031_526.0,
        samples: 667.0,
        failed: 2.0,
    };
    assert_eq!(read, expected);
    assert_eq!(Counters::read(""), None);
    assert_eq!(Counters::read(&PAGE.replace("ambikiali", "mine")), None);
    assert_eq!(Counters::read(&PAGE.replace(" 667", " NaN")), None);
    crate::fuzz::fuzz("Prometheus' page about itself", &[PAGE], |input| {
        if let Some(now) = Counters::read(&String::from_utf8_lossy(input)) {
            judge(&Counters::default(), &now, LATE);
        }
    });
}

#[test]
fn a_store_takes_samples_when_new_ones_were_sent_and_none_refused() {
    let at = |newest, sent, samples, failed| Counters {
        newest,
        sent,
        samples,
        failed,
    };
    let said = |before: Counters, now: Counters| match judge(&before, &now, LATE) {
        Health::InProgress(why) => why,
        health => format!("{health:?}"),
    };
    let none = Counters::default();
    assert_eq!(said(none, at(100.0, 98.0, 5.0, 0.0)), "Ready");
    assert_eq!(
        said(none, at(100.0, 0.0, 0.0, 0.0)),
        "it has sent no sample yet"
    );
    assert_eq!(
        said(none, at(100.0, 98.0, 5.0, 3.0)),
        "the store refused 3 samples, which are lost"
    );
    let before = at(100.0, 98.0, 5.0, 3.0);
    assert_eq!(said(before, at(115.0, 113.0, 9.0, 3.0)), "Ready");
    assert_eq!(
        said(before, at(101.0, 98.0, 5.0, 3.0)),
        "nothing was sent since the last look"
    );
    assert_eq!(
        said(before, at(160.0, 98.0, 5.0, 3.0)),
        "nothing was sent for 62 s"
    );
    assert_eq!(
        said(before, at(160.0, 100.0, 5.0, 3.0)),
        "it is 60 s behind"
    );
    // A server that was restarted counts from 0.
    assert_eq!(said(before, at(200.0, 199.0, 2.0, 0.0)), "Ready");
}

#[test]
fn the_log_names_the_cause() {
    let line = |err: &str| {
        format!(
            "time=2026-11-30T09:38:49.640Z level=WARN source=queue_manager.go:2408 msg=\"Failed to send batch, retrying\" component=remote remote_name=ambikiali url=http://192.0.2.7:8428/api/v1/write err={err}"
        )
    };
    for (err, said, hinted) in [
        (
            r#""Post \"http://192.0.2.7:8428/api/v1/write\": dial tcp 192.0.2.7:8428: connect: connection refused""#,
            "dial tcp 192.0.2.7:8428: connect: connection refused",
            "",
        ),
        (
            r#""server returned HTTP status 401 Unauthorized: no org id\n""#,
            "server returned HTTP status 401 Unauthorized: no org id ",
            "--store-header",
        ),
        (
            r#""server returned HTTP status 404 Not Found: 404 page not found""#,
            "server returned HTTP status 404 Not Found: 404 page not found",
            "--remote-write-url",
        ),
        (
            r#""server returned HTTP status 400 Bad Request: received a series whose number of labels exceeds the limit (err-mimir-max-label-names-per-series)""#,
            "server returned HTTP status 400 Bad Request: received a series whose number of labels exceeds the limit (err-mimir-max-label-names-per-series)",
            "raise its limit",
        ),
        (
            r#""Post \"https://192.0.2.7/api/v1/write\": tls: failed to verify certificate: x509: certificate signed by unknown authority""#,
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "--store-ca FILE",
        ),
        ("EOF", "EOF", ""),
    ] {
        let found = cause(&line(err)).unwrap();
        assert_eq!(found, said);
        let hinted_at = hint(&found, false).unwrap_or_default();
        assert!(hinted_at.contains(hinted) && hinted.is_empty() == hinted_at.is_empty());
    }
    for none in [
        "level=INFO msg=\"Done replaying WAL\" component=remote remote_name=ambikiali",
        "level=ERROR component=remote remote_name=other err=\"x\"",
        "",
    ] {
        assert_eq!(cause(none), None);
    }
    crate::fuzz::fuzz("Prometheus' log", &[&line(r#""a \"b\": c""#)], |input| {
        cause(&String::from_utf8_lossy(input));
    });
}
