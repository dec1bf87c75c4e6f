use super::*;

const HELLO: &str = r#"istio_tcp_received_bytes_total{reporter="source",source_cluster="c1",destination_cluster="c2",destination_service_name="helloworld",destination_service_namespace="sample",response_flags="-"} 91"#;

fn services() -> BTreeSet<Service> {
    BTreeSet::from([Service {
        name: "helloworld".into(),
        namespace: "sample".into(),
    }])
}

fn read(page: &str) -> Vec<Row> {
    rows(page, &services()).collect()
}

#[test]
fn the_series_of_a_service_are_read() {
    let page = format!(
        "# HELP istio_tcp_received_bytes The size.\n# TYPE istio_tcp_received_bytes counter\n\
         istio_build{{component=\"ztunnel\",tag=\"1.31\"}} 1\n{HELLO}\n{}\n{}\nprocess_open_fds 12\n# EOF\n",
        HELLO.replace("\"sample\"", "\"other\""),
        HELLO.replace("received_bytes", "sent_bytes"),
    );
    let read = read(&page);
    assert_eq!(read.len(), 1, "{read:?}");
    let (labels, value) = &read[0];
    assert_eq!(*value, 91.0);
    assert_eq!(labels["__name__"], "istio_tcp_received_bytes_total");
    assert_eq!(labels["destination_cluster"], "c2");
}

#[test]
fn escaped_labels_and_times_are_read() {
    let line = HELLO.replace("\"c1\"", r#""a\\b\"c\n},x=\"""#) + " 1764000000";
    let read = read(&line);
    assert_eq!(read[0].0["source_cluster"], "a\\b\"c\n},x=\"");
    assert_eq!(read[0].1, 91.0);
}

#[test]
fn what_is_no_series_or_no_count_is_left_out() {
    for value in ["NaN", "+Inf", "-1", "1e400", "", "ten", "0x7f"] {
        let line = HELLO.replace(" 91", &format!(" {value}"));
        assert_eq!(read(&line), [], "{value}");
    }
    for cut in 0..HELLO.len() - 2 {
        assert_eq!(read(&HELLO[..cut]), [], "{cut}");
    }
    assert_eq!(read("istio_tcp_received_bytes_total{} 1"), []);
    assert_eq!(read("istio_tcp_received_bytes_total{\u{1b}}"), []);
}

#[test]
fn whatever_a_page_says_is_read_or_left_out() {
    let failed = HELLO.replace("received_bytes", "connections_failed");
    crate::fuzz::fuzz("ztunnel's page", &[HELLO, &failed], |input| {
        let page = String::from_utf8_lossy(input);
        let _ = rows(&page, &services()).count();
    });
}
