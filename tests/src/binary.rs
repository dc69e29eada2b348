use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The `althing` binary: `ALTHING_BIN`, or else what `cargo build -p althing` makes.
///
/// # Panics
/// When there is none and it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("ALTHING_BIN") {
            return PathBuf::from(given);
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "-p", "althing"]).current_dir(workspace).status();
        assert!(built.is_ok_and(|status| status.success()), "`cargo build -p althing` has to succeed");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        workspace.join(target).join("debug/althing")
    })
}
