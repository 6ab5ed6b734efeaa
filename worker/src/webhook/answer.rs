//! What an answer of the endpoint means for the message.

use std::time::{Duration, SystemTime};

use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};

use crate::Failure;

/// The longest result.
pub(super) const RESULT_BYTES: usize = 64 * 1024;

/// The longest pause that the endpoint can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A failure that may pass.
pub(super) fn retry(error: impl Into<String>) -> Failure {
    Failure::Retry {
        error: error.into(),
        after: None,
    }
}

/// A failure that will not.
pub(super) fn fatal(error: impl Into<String>) -> Failure {
    Failure::Final {
        error: error.into(),
    }
}

/// Whether the head of an answer promises a result.
pub(super) fn head(status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    // Without the reason phrase: the number says it all, and the phrase is the endpoint's text.
    let answered = format!("the service answered {}", status.as_u16());
    if status.is_success() {
        Ok(())
    } else if status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
    {
        Err(Failure::Retry {
            error: answered,
            after: retry_after(headers, SystemTime::now()),
        })
    } else if status.is_redirection() {
        Err(fatal(format!("{answered}, and redirects are not followed")))
    } else {
        Err(fatal(answered))
    }
}

/// The result in `body`.
pub(super) fn result(body: Vec<u8>) -> Result<String, Failure> {
    let result = String::from_utf8(body).map_err(|_| fatal("the service's answer is not UTF-8"))?;
    // Databases do not keep it in text.
    if result.contains('\0') {
        return Err(fatal("the service's answer holds a NUL character"));
    }
    Ok(result)
}

/// How long the endpoint asks to wait (RFC 9110, section 10.2.3): seconds or a date. What is neither is ignored.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let after = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // What does not fit is longer than the longest.
        value.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(now).unwrap_or_default()
    };
    Some(after.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const NOW: Duration = Duration::from_secs(784_111_777);

    fn after(value: &str) -> Option<Duration> {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
        retry_after(&headers, UNIX_EPOCH + NOW)
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let seconds = |s| Some(Duration::from_secs(s));
        for (value, expected) in [
            ("0", seconds(0)),
            ("120", seconds(120)),
            ("86401", seconds(86_400)),
            ("99999999999999999999999999", seconds(86_400)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", seconds(10)),
            ("Sunday, 06-Nov-94 08:49:47 GMT", seconds(10)),
            ("Sun Nov  6 08:49:47 1994", seconds(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", seconds(0)),
            ("Sun, 06 Nov 2044 08:49:37 GMT", seconds(86_400)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(after(value), expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), UNIX_EPOCH), None);
    }
}
