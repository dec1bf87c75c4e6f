//! Quotes names in commands that users may paste into a shell, so that a context, file or object of any name is a
//! single word and runs nothing.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

/// Quotes a text as one word of a POSIX shell.
pub fn quoted(word: &str) -> Cow<'_, str> {
    // A NUL cannot be quoted, and no command line can contain one.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed("''"))
}

/// Stands for a kubeconfig that was read from a pipe. A shell without FILE reports that and runs nothing.
const OF_A_PIPE: &str = "\"${FILE:?write the kubeconfig to a file, and its name to FILE}\"";

/// Quotes the path of a kubeconfig, for a command that reads the same file.
pub fn kubeconfig(file: &Path) -> Cow<'_, str> {
    match gives_once(file) {
        true => OF_A_PIPE.into(),
        false => quoted(&file.to_string_lossy()).into_owned().into(),
    }
}

/// Whether another process cannot read it: a pipe is empty by now, and `/dev/fd/63` is this process's own.
fn gives_once(file: &Path) -> bool {
    let is_open = file.starts_with("/proc") && file.iter().any(|part| part == "fd");
    let kind = fs::metadata(file);
    is_open || file.starts_with("/dev") || kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir())
}

/// kubectl with the flags that select a context and the kubeconfigs that were read.
pub fn kubectl(files: &[PathBuf], context: &str) -> String {
    let context = quoted(context);
    match files {
        [] => format!("kubectl --context {context}"),
        [file] => format!(
            "kubectl --kubeconfig {} --context {context}",
            kubeconfig(file)
        ),
        several if several.iter().any(|file| gives_once(file)) => {
            format!("kubectl --kubeconfig {OF_A_PIPE} --context {context}")
        }
        // kubectl's --kubeconfig takes only one file.
        several => {
            let list = std::env::join_paths(several).unwrap_or_default();
            let list = list.to_string_lossy().into_owned();
            format!("KUBECONFIG={} kubectl --context {context}", quoted(&list))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_taken_apart_by_a_shell_as_it_was_meant() {
        for context in [
            "kind-east",
            "ctx1 (aws)",
            "default/api-ocp:6443/Max O'Example",
            "arn:aws:eks:eu-central-1:1:cluster/prod",
            "$(touch x); `y` \"z\" \\",
            "-n",
            "*?[a]~!#&|<>",
            "zwei\nZeilen",
            "ümläut",
        ] {
            let file = PathBuf::from("my files/kube'config.yaml");
            let command = kubectl(&[file], context);
            let words = shlex::split(&command).unwrap();
            let meant = [
                "kubectl",
                "--kubeconfig",
                "my files/kube'config.yaml",
                "--context",
            ];
            assert_eq!(words, [&meant[..], &[context]].concat(), "{command}");
        }
    }

    #[test]
    fn what_came_through_a_pipe_is_asked_for_and_never_read_again() {
        let asked = "kubectl --kubeconfig \"${FILE:?write the kubeconfig to a file, and its name to FILE}\" --context x";
        for files in [
            &["/dev/fd/63"][..],
            &["/proc/self/fd/0"],
            &["a", "/dev/stdin"],
        ] {
            let files = files.iter().map(PathBuf::from).collect::<Vec<_>>();
            assert_eq!(kubectl(&files, "x"), asked);
        }
    }

    #[test]
    fn what_needs_no_quotes_has_none() {
        assert_eq!(kubectl(&[], "kind-east"), "kubectl --context kind-east");
        assert_eq!(
            kubectl(&["a b".into(), "c".into()], "x"),
            "KUBECONFIG='a b:c' kubectl --context x"
        );
    }
}
