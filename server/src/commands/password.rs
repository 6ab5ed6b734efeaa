use std::io::{self, IsTerminal as _};

use anyhow::bail;

/// Asks for a new password twice on a terminal; otherwise reads the first line of standard input.
pub(super) fn read() -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let password = rpassword::prompt_password("New password: ")?;
    if rpassword::prompt_password("Again: ")? != password {
        bail!("the two passwords differ; nothing was changed");
    }
    Ok(password)
}
