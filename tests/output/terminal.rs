//! The live progress lines while an install waits for a load balancer.

use crate::support::{Clusters, INSTALL, Terminal, masked, progress, to_an_install};

/// The finished steps. How much the first, interrupted install had done differs from run to run.
const STEPS: &str = "\
cluster1      aggregate metrics   done
cluster1      cluster prometheus  done
cluster1      expose prometheus   done     https://ADDRESS:9090/federate
cluster1      kiali               done     sees cluster1, cluster2
cluster1      kiali operator      done
cluster1      namespace           done
cluster1      remote secret       done     created 1 for cluster2
cluster2      cluster prometheus  done
cluster2      expose prometheus   done     https://ADDRESS:9090/federate
cluster2      kiali operator      done
cluster2      namespace           done
cluster2      remote cluster      done
";

/// Returns the text of a live line without the spinner and the time.
fn live(row: &str) -> Option<&str> {
    let text = row.get(row.char_indices().nth(8)?.0..)?;
    let spinner = row.chars().next()?;
    ('\u{2800}'..='\u{28ff}').contains(&spinner).then_some(text)
}

fn start(clusters: &Clusters, size: (u16, u16), environment: Option<(&str, &str)>) -> Terminal {
    let kubeconfig = clusters.sandbox.kubeconfig();
    Terminal::start(&INSTALL, kubeconfig, clusters.state(), size, environment)
}

#[test]
fn a_line_says_what_is_waited_for_and_goes_when_it_came() {
    to_an_install(async |clusters| {
        let balancers = &clusters.sandbox.world().load_balancers;
        balancers.hold_back(true);
        let rows = narrow(start(clusters, (80, 40), None)).await;
        let went_on = "  to resume:  repeat the same command";
        assert!(rows.iter().any(|row| row == went_on), "{rows:#?}");
        let columns = Some(("COLUMNS", "40"));
        narrow(start(clusters, (80, 130), columns)).await;
        dumb(start(clusters, (80, 130), Some(("TERM", "dumb")))).await;
        let mut wide = start(clusters, (60, 130), None);
        let gateway =
            "Gateway istio-system/prometheus-gateway: Programmed=False AddressNotAssigned";
        for cluster in ["cluster1", "cluster2"] {
            let line = format!("{cluster}      expose prometheus   {gateway}");
            let waits = |terminal: &Terminal| {
                let rows = terminal.rows();
                let mut rows = rows.iter().filter_map(|row| live(row));
                rows.any(|row| row.starts_with(&line))
            };
            wide.shows(&line, waits).await;
        }
        assert!(!wide.rows().join("\n").contains("done     https://"));
        balancers.hold_back(false);
        let (wide, code) = wide.ended().await;
        let rows = wide.rows();
        assert_eq!(code, 0, "{rows:#?}");
        assert!(rows.iter().all(|row| live(row).is_none()), "{rows:#?}");
        let screen = rows.join("\n") + "\n";
        assert_eq!(done(&screen), STEPS);
        assert_eq!(
            masked(&screen).split_once("Ready").expect("an end").1,
            " in TIME: Kiali in cluster1 sees cluster1, cluster2
Kiali asks for no login: anyone who can reach it sees every cluster and can change nothing.
Next:  ambikiali verify
       ambikiali dashboard
"
        );
    });
}

/// Returns the finished lines, with results only if they do not depend on the interrupted install.
fn done(screen: &str) -> String {
    let lines = progress(screen);
    let lines = lines.lines().filter(|line| line.contains("  done  "));
    let lines = lines.map(|line| {
        let same = ["  expose ", "  kiali     ", "  remote secret "];
        match same.iter().any(|step| line.contains(step)) {
            true => line,
            false => line[..40].trim_end(),
        }
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// A live line is cut at the width of the terminal, and none is left after an interrupt.
async fn narrow(mut narrow: Terminal) -> Vec<String> {
    let line = "cluster2      expose prometheus";
    let cut = |terminal: &Terminal| {
        let rows = terminal.rows();
        let mut below = rows.iter().skip_while(|row| live(row).is_none());
        // The rest of a wrapped line would be between them.
        below.all(|row| live(row).is_some()) && rows.iter().any(|row| live(row) == Some(line))
    };
    narrow.shows(line, cut).await;
    // Send the signal instead of the key, because the terminal would echo `^C` into the current line.
    narrow.interrupt().await;
    let (narrow, code) = narrow.ended().await;
    let rows = narrow.rows();
    assert_eq!(code, 130, "{rows:#?}");
    assert!(rows.iter().all(|row| live(row).is_none()), "{rows:#?}");
    rows
}

/// A dumb terminal gets the same lines as a file.
async fn dumb(mut dumb: Terminal) {
    let line = "cluster2      expose prometheus   waiting";
    let plain = |terminal: &Terminal| terminal.rows().iter().any(|row| row.contains(line));
    dumb.shows(line, plain).await;
    dumb.interrupt().await;
    let (dumb, code) = dumb.ended().await;
    assert_eq!(code, 130, "{:#?}", dumb.rows());
    assert!(!dumb.raw().contains('\u{1b}'), "{:?}", dumb.raw());
}
