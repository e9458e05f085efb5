//! Clones are found across files and only there.

use super::*;

fn file(path: &str, names: &[&str]) -> File {
    let lines = names.iter().map(|name| format!("    let {name} = 1; // {path}\n\n"));
    File::new(path, lines.collect())
}

#[test]
fn six_alike_lines_in_two_files_are_a_clone() {
    let six = ["a", "b", "c", "d", "e", "f"];
    let files = vec![file("crates/x.rs", &six), file("crates/y.rs", &six)];
    let found = find(&Tree { files });
    assert_eq!(found.share(), 1.0);
    assert_eq!(found.complaints().len(), 1);

    let files = vec![file("crates/x.rs", &six), file("crates/y.rs", &["a", "b", "c", "d", "e"])];
    assert_eq!(find(&Tree { files }).share(), 0.0);

    let twice = [six, six].concat();
    let files = vec![file("crates/x.rs", &twice)];
    assert_eq!(find(&Tree { files }).share(), 0.0);
}
