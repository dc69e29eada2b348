use std::fs::File;
use std::io::Write;
use std::path::Path;

/// The variable that names the file in which skips are noted; `tests/run` sets it and shows what is in there.
const FILE: &str = "ALTHING_TEST_SKIPS";

/// Says that the test that calls this cannot run here, and why; the test then returns. Output of a test that passes is
/// not shown, so the reason also goes into the file of `ALTHING_TEST_SKIPS`.
///
/// # Panics
/// When that file cannot be written: a skip that nobody hears of would be a pass.
pub fn skip(reason: &str) {
    println!("SKIPPED: {reason}");
    if let Some(file) = std::env::var_os(FILE) {
        let thread = std::thread::current();
        note(Path::new(&file), thread.name().unwrap_or("a test"), reason);
    }
}

fn note(file: &Path, test: &str, reason: &str) {
    // In one write, so that lines of processes that run side by side stay whole.
    let line = format!("{test}: {}\n", reason.replace('\n', " "));
    let written =
        File::options().create(true).append(true).open(file).and_then(|mut to| to.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("{}: the skip of {test} ({reason}) is not noted: {error}", file.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_added_line_by_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("skips");
        note(&file, "a::one", "needs root");
        note(&file, "b::two", "first\nsecond");
        let noted = std::fs::read_to_string(&file).expect("a file");
        assert_eq!(noted, "a::one: needs root\nb::two: first second\n");
    }

    #[test]
    #[should_panic(expected = "is not noted")]
    fn a_skip_that_cannot_be_noted_is_no_pass() {
        note(Path::new("/nonexistent/skips"), "a::one", "needs root");
    }
}
