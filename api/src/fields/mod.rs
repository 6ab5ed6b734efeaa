//! What fields and parameters hold that several operations have, with what clients read about it: its limits, and an
//! example. A fact about one field alone stands beside that field.
//!
//! The limits are enforced where the values are used; a test sends what lies beyond them.

pub(crate) mod described;
pub(crate) mod example;

use herald_acl::CLIENT_ID_BYTES;
use herald_store::Timestamp;
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult};

use described::{described, parameters};

/// The longest parameter in a query, in characters; see `strict`.
pub(crate) const MAX_PARAMETER: usize = 128;

/// Text without control characters.
pub(crate) const NO_CONTROL: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// Text without NUL.
pub(crate) const NO_NUL: &str = r"^[^\u0000]+$";

/// The longest text that may be an epoch, in characters.
pub(crate) const EPOCH_CHARS: usize = 64;

/// The most items of a page.
const MAX_ITEMS: u32 = 200;

const ID: &str = "01a2b3c4-d5e6-7f80-9a1b-2c3d4e5f6071";

described! {
    /// Its id. Opaque.
    Id(String, ID) {
        min_length: Some(1),
        max_length: Some(64),
    }
}

described! {
    /// The username.
    // A contract with MQTT clients: it is a level of topics.
    Name(String, "alice") {
        min_length: Some(1),
        max_length: Some(64),
        pattern: Some("^[a-z0-9][a-z0-9._-]{0,63}$".to_owned()),
    }
}

described! {
    /// 8 characters to 1024 bytes, not starting with `hrld_`.
    ChosenPassword(String, "correct horse battery staple") {
        format: Some("password"),
        min_length: Some(8),
        max_length: Some(1024),
        // With the length once more, for programs that make values by it.
        pattern: Some(r"^(?!hrld_)[\s\S]{8,}$".to_owned()),
        write_only: true,
    }
}

described! {
    /// The password.
    GivenPassword(String, "correct horse battery staple") {
        format: Some("password"),
        min_length: Some(1),
        max_length: Some(1024),
        write_only: true,
    }
}

described! {
    /// RFC 3339, UTC, milliseconds.
    DateTime(String, "2026-11-22T10:00:00.000Z") {
        format: Some("date-time"),
    }
}

described! {
    /// The `next` of the page before.
    PageToken(String, ID) {
        min_length: Some(1),
        max_length: Some(MAX_PARAMETER),
        pattern: Some("^[!-~]+$".to_owned()),
    }
}

described! {
    /// Where the next page begins; null on the last one.
    NextPageToken(String) {
        max_length: Some(MAX_PARAMETER),
    }
}

described! {
    /// What the numbers of an inbox count in. Opaque.
    Epoch(String, "5f1c9a04b2d8e673") {
        max_length: Some(EPOCH_CHARS),
    }
}

described! {
    /// What an MQTT client calls itself.
    // In the document lengths are in characters, which are no more than bytes. So it is with topics.
    ClientId(String, "phone") {
        max_length: Some(CLIENT_ID_BYTES),
    }
}

described! {
    // Its header has the description.
    RequestIdText(String) {
        max_length: Some(64),
    }
}

described! {
    /// The text of an access token.
    Secret(String, "hrld_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") {
        pattern: Some("^hrld_[A-Za-z0-9_-]{43}$".to_owned()),
    }
}

parameters!(Id, Name, PageToken, Epoch);

impl Id {
    /// The id as clients see it.
    pub(crate) fn of(id: impl ToString) -> Self {
        Self(id.to_string())
    }
}

impl Name {
    /// The name as clients see it.
    pub(crate) fn of(name: impl ToString) -> Self {
        Self(name.to_string())
    }
}

impl From<Timestamp> for DateTime {
    fn from(time: Timestamp) -> Self {
        Self(time.to_string())
    }
}

described! {
    /// How many items a page has at most.
    Limit(u32) {
        minimum: Some(1.0),
        maximum: Some(f64::from(MAX_ITEMS)),
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl ParseFromParameter for Limit {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        match value.parse() {
            Ok(limit @ 1..=MAX_ITEMS) => Ok(Self(limit)),
            _ => Err(ParseError::custom(format!(
                "a page has 1 to {MAX_ITEMS} items."
            ))),
        }
    }
}
