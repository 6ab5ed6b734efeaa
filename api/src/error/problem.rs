//! The body of the response to a request that failed.

use poem_openapi::Object;

use super::code::Code;

/// The media type of problem details (RFC 9457, section 3).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Problem details (RFC 9457).
#[derive(Object)]
pub(crate) struct Problem {
    /// Always `about:blank`: the code says more.
    #[oai(rename = "type")]
    pub(crate) kind: String,
    /// The HTTP status in words.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What is wrong with this request, for people.
    pub(crate) detail: String,
    /// What is wrong, for programs.
    pub(crate) code: Code,
}
