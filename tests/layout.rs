//! The shape of the source: its modules depend on each other in one direction.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

type Imports = BTreeMap<String, BTreeSet<String>>;

/// Returns the source files of a folder and its subfolders, without tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        match () {
            () if name == "tests" || name == "fuzz" => {}
            () if path.is_dir() => found.extend(sources(&path)),
            () => found.push(path.clone()),
        }
    }
    found
}

/// Returns which modules of the crate each of its modules imports.
fn imports() -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports = Imports::new();
    for path in sources(&root) {
        let below = path
            .strip_prefix(&root)
            .expect("below it")
            .with_extension("");
        let module = below
            .iter()
            .next()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).expect("a source file");
        let code = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        imports.entry(module).or_default().extend(named(code));
    }
    let modules = imports.keys().cloned().collect::<BTreeSet<_>>();
    for (module, named) in &mut imports {
        named.retain(|other| other != module && modules.contains(other));
    }
    imports
}

/// Returns the imported modules: `a` for `crate::a::b`, and `a` and `b` for `crate::{a, b::C}`.
fn named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        let list = match path.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default(),
            None => path,
        };
        let items = if list.len() == path.len() {
            1
        } else {
            usize::MAX
        };
        for item in list.split(',').take(items) {
            let word = |c: char| !c.is_alphanumeric() && c != '_';
            let name = item.trim().split(word).next().unwrap_or_default();
            named.insert(name.to_string());
        }
    }
    named
}

/// Returns the modules in cycles and those that import them, by repeatedly removing the modules that import no other
/// remaining one.
fn circles(mut imports: Imports) -> Imports {
    loop {
        let is_free = |named: &BTreeSet<String>| named.iter().all(|n| !imports.contains_key(n));
        let free = imports.iter().filter(|(_, named)| is_free(named));
        let free = free.map(|(module, _)| module.clone()).collect::<Vec<_>>();
        if free.is_empty() {
            return imports;
        }
        for module in free {
            imports.remove(&module);
        }
    }
}

#[test]
fn no_module_depends_on_one_that_depends_on_it() {
    let imports = imports();
    assert!(imports["commands"].contains("install"), "{imports:#?}");
    let circles = circles(imports);
    assert!(circles.is_empty(), "these import each other: {circles:#?}");
}

#[test]
fn a_circle_is_found_however_long_it_is() {
    let imports = [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "f")];
    let imports = imports.map(|(from, to)| (from.to_string(), named(&format!("use crate::{to};"))));
    let left = circles(imports.into_iter().collect());
    // Modules that only import the cycle remain too.
    assert_eq!(left.keys().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}

#[test]
fn all_names_of_a_list_are_imported() {
    let named = named("use crate::{a, b::C};\nuse crate::d::{e, f};\nlet g = crate::g::h(1, 2);");
    assert_eq!(named.iter().collect::<Vec<_>>(), ["a", "b", "d", "g"]);
}
