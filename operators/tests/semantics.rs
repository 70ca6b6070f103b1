//! Every rule of SEMANTICS.md names tests, and every test that it names exists.

use std::collections::BTreeSet;
use std::path::Path;

/// The tests a line names: `file.rs::function` in backticks.
fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::"))
}

#[test]
fn every_rule_has_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table =
        std::fs::read_to_string(root.join("SEMANTICS.md")).expect("it is beside Cargo.toml");
    let rows = table.lines().filter(|line| line.starts_with("| C") || line.starts_with("| S"));
    let mut rules = BTreeSet::new();
    for row in rows {
        let rule = row.split('|').nth(1).expect("a row has cells").trim();
        let mut tests = 0;
        for (file, function) in named(row) {
            let path = root.join(file).with_extension("rs");
            let source = std::fs::read_to_string(&path);
            let source =
                source.unwrap_or_else(|error| panic!("{rule}: {}: {error}", path.display()));
            let declared = format!("fn {function}(");
            assert!(source.contains(&declared), "{rule}: {file}.rs has no test {function}");
            tests += 1;
        }
        assert!(tests > 0, "{rule} has no test");
        assert!(rules.insert(rule.to_owned()), "{rule} is there twice");
    }
    let later = [14, 15, 16, 19, 24];
    for rule in (1..=23).filter(|rule| !later.contains(rule)) {
        assert!(rules.contains(&format!("C{rule}")), "C{rule} is missing");
    }
}
