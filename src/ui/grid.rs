//! The matrix of flows as a table: rows from, columns to.

use std::collections::BTreeMap;

use anstyle::Style;

use crate::mesh::ClusterName;
use crate::out::Text;

/// Longer names are cut in the middle, because clusters of one provider often begin alike.
const LONGEST: usize = 18;
const CORNER: &str = "from \\ to";
/// For a flow that nobody asked for.
const NOTHING: &str = "-";

#[derive(Default)]
pub struct Grid {
    /// In the order in which they were named first.
    names: Vec<ClusterName>,
    cells: BTreeMap<(ClusterName, ClusterName), (Style, String)>,
}

impl Grid {
    pub fn set(&mut self, from: &ClusterName, to: &ClusterName, style: Style, word: String) {
        for name in [from, to] {
            if !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        let key = (from.clone(), to.clone());
        self.cells.insert(key, (style, word));
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The head, and a line for each cluster.
    pub fn lines(&self) -> Vec<Text> {
        let names = self.names.iter().map(|name| cut(name.as_str()));
        let names = names.collect::<Vec<_>>();
        let lengths = names.iter().map(|name| name.chars().count());
        let first = lengths.max().unwrap_or(0).max(CORNER.len());
        let widths = self.names.iter().zip(&names).map(|(to, name)| {
            let cells = self.names.iter().map(|from| self.cell(from, to).1);
            let cells = cells.map(str::len);
            cells.max().unwrap_or(0).max(name.chars().count())
        });
        let widths = widths.collect::<Vec<_>>();
        let mut head = format!("{CORNER:<first$}");
        for (name, width) in names.iter().zip(&widths) {
            head += &format!("  {name:<width$}");
        }
        let rows = self.names.iter().zip(&names).map(|(from, name)| {
            let mut row = Text::from(format!("{name:<first$}"));
            for (at, to) in self.names.iter().enumerate() {
                let (style, word) = self.cell(from, to);
                row = row.plain("  ").styled(style, word);
                let rest = widths[at] - word.len();
                if at + 1 < self.names.len() {
                    row = row.plain(" ".repeat(rest));
                }
            }
            row
        });
        std::iter::once(Text::from(head.trim_end()))
            .chain(rows)
            .collect()
    }

    fn cell(&self, from: &ClusterName, to: &ClusterName) -> (Style, &str) {
        let cell = self.cells.get(&(from.clone(), to.clone()));
        cell.map_or((Style::new(), NOTHING), |(style, word)| {
            (*style, word.as_str())
        })
    }
}

fn cut(name: &str) -> String {
    let length = name.chars().count();
    if length <= LONGEST {
        return name.into();
    }
    let kept = LONGEST - 1;
    let end = kept / 2;
    let start = name.chars().take(kept - end).collect::<String>();
    let end = name.chars().skip(length - end).collect::<String>();
    format!("{start}\u{2026}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &[&str], word: &str) -> Vec<String> {
        let name = |name: &&str| ClusterName::new(name).unwrap();
        let mut grid = Grid::default();
        for from in names {
            for to in names {
                grid.set(&name(from), &name(to), Style::new(), word.into());
            }
        }
        let lines = grid.lines();
        lines.iter().map(|line| line.sent(false)).collect()
    }

    #[test]
    fn a_table_has_a_row_for_each_sender_and_fits_in_the_terminal() {
        let two = lines(&["cluster1", "cluster2"], "ok");
        assert_eq!(
            two,
            [
                "from \\ to  cluster1  cluster2",
                "cluster1   ok        ok",
                "cluster2   ok        ok"
            ]
        );
        let long = [1, 2, 3, 4].map(|n| format!("gke_project-of-somebody_us-east1-b_mesh{n}"));
        let long = long.each_ref().map(String::as_str);
        for (names, columns) in [(&long[..2], 60), (&long[..], 100)] {
            let lines = lines(names, "destination");
            let widest = lines.iter().map(|line| line.chars().count()).max();
            assert!(widest <= Some(columns), "{lines:#?}");
            assert!(
                lines[1].starts_with("gke_proje\u{2026}-b_mesh1  destination"),
                "{lines:#?}"
            );
        }
    }

    #[test]
    fn a_flow_that_nobody_asked_for_is_a_dash() {
        let [a, b] = ["a", "b"].map(|name| ClusterName::new(name).unwrap());
        let mut grid = Grid::default();
        grid.set(&a, &b, Style::new(), "metrics".into());
        let lines = grid.lines();
        let lines = lines.iter().map(|line| line.sent(false));
        let lines = lines.collect::<Vec<_>>();
        assert_eq!(lines[1..], ["a          -  metrics", "b          -  -"]);
    }
}
