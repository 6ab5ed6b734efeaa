//! What npm checks of the web app.

use std::process::Command;

use anyhow::Result;

use crate::step::{root, step};

/// The types of the API are those of its document, and everything passes svelte-check and ESLint.
pub(crate) fn lint() -> Result<()> {
    for script in ["schema:check", "check", "lint"] {
        npm(script)?;
    }
    Ok(())
}

/// Vitest.
pub(crate) fn test() -> Result<()> {
    npm("test")
}

fn npm(script: &str) -> Result<()> {
    step(
        &format!("web: {script}"),
        Command::new("npm")
            .args(["run", "--silent", script])
            .current_dir(root().join("web")),
    )
}
