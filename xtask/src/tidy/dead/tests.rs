//! Files that are reached and files that are not.

use super::*;
use crate::tree::File;

#[test]
fn modules_are_followed_as_the_compiler_does() {
    let files = [
        ("c/src/lib.rs", "mod a;\n#[cfg(test)]\nmod tests;\n"),
        ("c/src/a.rs", "mod b;\nmod d;\n"),
        ("c/src/a/b.rs", ""),
        ("c/src/a/d/mod.rs", "mod e;\n"),
        ("c/src/a/d/e.rs", ""),
        ("c/src/tests.rs", ""),
        ("c/src/b.rs", ""),
        ("c/tests/it/main.rs", "mod one;\n"),
        ("c/tests/it/one.rs", ""),
        ("c/tests/it/two.rs", ""),
        ("c/tests/more.rs", ""),
        ("c/examples/load.rs", ""),
    ];
    let file = |(path, text): (&str, &str)| File::new(path, text.to_owned());
    let found = check(&Tree { files: files.into_iter().map(file).collect() });
    let paths: Vec<_> = found.iter().map(|complaint| complaint.path.as_str()).collect();
    assert_eq!(paths, ["c/src/b.rs", "c/tests/it/two.rs", "c/tests/more.rs"]);
}
