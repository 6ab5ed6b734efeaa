//! What is not yet as ARCHITECTURE.md wants it. An entry goes with its reason: one that no longer applies is an error.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    #[serde(default)]
    pub(crate) circle: Vec<Circle>,
    #[serde(default)]
    pub(crate) import: Vec<Import>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Circle {
    pub(crate) reason: String,
    /// As the table names them: `broker/bus/router`.
    pub(crate) files: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    pub(crate) reason: String,
    /// Folders of the table.
    pub(crate) from: String,
    pub(crate) to: String,
}
