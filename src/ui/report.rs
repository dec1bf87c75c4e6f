//! Results of commands as text.

use std::path::PathBuf;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::aside;
use super::check::behind;
use super::version::no_access;
use crate::guide::Step;
use crate::login::Login;
use crate::mesh::{ClusterName, Mesh, WriteCounts};
use crate::out::Text;
use crate::out::note;
use crate::out::{self, Form};
use crate::progress::{Event, Message, Part};
use crate::result::{self, Cluster, InstallResult, State, StatusResult};
use crate::settings::Settings;
use crate::shell::quoted;
use crate::steps::kiali;

pub const GOOD: Style = AnsiColor::Green.on_default();
pub const BAD: Style = AnsiColor::Red.on_default();
pub const DIM: Style = Style::new().dimmed();

/// What an interrupted command leaves, and how to resume or undo it.
pub fn interrupted(mesh: Option<&Mesh>, has_way_back: bool) {
    let clusters = mesh.into_iter().flat_map(Mesh::all);
    let all = clusters.map(|c| (&c.name, c.transport.written()));
    let (clusters, written): (Vec<_>, Vec<_>) =
        all.filter(|(_, w)| *w != WriteCounts::default()).unzip();
    if written.is_empty() {
        return note("interrupted; nothing was written");
    }
    note("interrupted; these changes stay in place:");
    for (cluster, written) in clusters.iter().zip(&written) {
        note(&format!("  {cluster:<12}  {}", done(written)));
    }
    note("  to resume:  repeat the same command");
    if has_way_back && written.iter().any(|w| w.writes > 0) {
        note("  to undo:    ambikiali cleanup");
    }
}

/// What an interrupted command still does.
pub fn taking_back(what: &str) {
    note(&format!(
        "interrupted; removing {what}; a second signal leaves that to the next ambikiali cleanup, install or verify --probes own"
    ));
}

fn done(written: &WriteCounts) -> String {
    let counts = [
        (written.writes, "written"),
        (written.deletes, "removed"),
        (written.unanswered, "not answered yet"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, word)| format!("{count} {word}"));
    counts.collect::<Vec<_>>().join(", ")
}

/// The next commands, with the flags of the clusters unless they are remembered.
pub fn installed(result: &InstallResult) {
    let Some(installed) = &result.installed else {
        return;
    };
    let left_out = &installed.left_out;
    let takes_part = |cluster: &&Cluster| left_out.iter().all(|one| one.cluster != cluster.name);
    let clusters = result.clusters.iter().filter(takes_part);
    let clusters = clusters.collect::<Vec<_>>();
    let names = clusters.iter().map(|cluster| cluster.name.as_str());
    let names = names.collect::<Vec<_>>();
    let settings = result.options.settings();
    let sees = match settings.login {
        Some(_) => "reaches",
        None => "sees",
    };
    out::result(Text::new().styled(GOOD, "Ready").plain(format!(
        " in {:.1}s: Kiali in {} {sees} {}",
        installed.took.as_secs_f64(),
        names[0],
        names.join(", ")
    )));
    given(&settings);
    let numbered = clusters.iter().zip(1..).filter(|_| !installed.remembered);
    let flags = numbered
        .map(|(cluster, number)| format!(" --ctx{number} {}", quoted(&cluster.context)))
        .collect::<String>();
    say!("Next:  ambikiali verify{flags}");
    say!("       ambikiali dashboard{flags}");
    aside::left_out(left_out);
}

/// What the install gives to whoever reaches Kiali, or to whoever logs in.
fn given(settings: &Settings) {
    let Some(login) = &settings.login else {
        return say!("{}", without_login(settings.allow_write));
    };
    let Login {
        issuer, client_id, ..
    } = login;
    let gets = behind(login, settings.allow_write);
    say!("Kiali asks for a login: whoever logs in at {issuer} {gets}.");
    say!(
        "Register Kiali's URL as redirect URI of client {client_id}; that of ambikiali dashboard is http://localhost:{}{}.",
        kiali::PORT,
        kiali::WEB_ROOT
    );
}

fn without_login(allow_write: bool) -> &'static str {
    match allow_write {
        true => {
            "Kiali asks for no login: anyone who can reach it can change workloads and Istio's configuration in \
             every cluster; ambikiali install --allow-write=false makes it view-only again."
        }
        false => {
            "Kiali asks for no login: anyone who can reach it sees every cluster and can change nothing."
        }
    }
}

/// A table of every component.
pub fn statuses(result: &StatusResult) {
    let mut last = None;
    for component in &result.components {
        let cluster = match last == Some(&component.cluster) {
            true => "",
            false => component.cluster.as_str(),
        };
        let style = match component.state {
            State::Ready => GOOD,
            State::Drifted | State::NotReady | State::Failed => BAD,
        };
        let width = Step::WIDTH;
        let text = Text::from(format!("{cluster:<12}  {:<width$}  ", component.step))
            .styled(style, format!("{:<9}", component.state.word()))
            .plain(format!("  {}", component.object));
        let code = component.code.map(|code| format!("[{code}] "));
        let said = [&component.reason, &component.note].into_iter().flatten();
        let said = said.filter(|said| !said.is_empty()).map(String::as_str);
        let said = said.collect::<Vec<_>>().join("; ");
        let text = if said.is_empty() {
            text
        } else {
            text.plain(": ").plain(code.unwrap_or_default()).lines(said)
        };
        out::result(text);
        last = Some(&component.cluster);
    }
    no_access(&result.unreachable);
}

/// The files of the reports, which belong to the result only as text.
pub fn reports(paths: &[PathBuf]) {
    for path in paths {
        let line = format!("Report: {}", path.display());
        match out::manner().form {
            Form::Text => out::result(line),
            Form::Markdown | Form::Json | Form::Yaml | Form::Jsonl => note(&line),
        }
    }
}

/// One line for each file.
pub fn rendered(paths: &[String]) {
    paths.iter().for_each(|path| say!("{path}"));
}

/// Kiali's pages by their titles. For people: programs read the URL of Kiali.
pub fn pages(pages: &[(&str, String)]) {
    for (title, url) in pages {
        note(&format!("{title}: {url}"));
    }
}

/// The URL of Kiali.
pub fn address(home: &ClusterName, url: &str) {
    let message = Message {
        part: Part::Step(Step::Kiali),
        cluster: home.clone(),
        event: Event::Note(url.into()),
    };
    match out::manner().form {
        Form::Text => say!("{url}"),
        Form::Jsonl => out::event(&result::Event::of(&message, Duration::ZERO)),
        // The document is printed only at the end of the command.
        Form::Json | Form::Yaml | Form::Markdown => note(url),
    }
}
