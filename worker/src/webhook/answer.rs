//! What an answer of the endpoint means for the message.

use std::time::{Duration, SystemTime};

use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};

/// The longest result.
pub(super) const RESULT_BYTES: usize = 64 * 1024;

/// The longest pause that the endpoint can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// With `false`, an answer that is not 2xx is final, whatever its status. What else it may say is ignored.
const SHOULD_RETRY: &str = "webhook-should-retry";

/// An answer without a result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The endpoint, or what stands before it, is out of order: 5xx.
    Broken {
        /// What the owner of the message reads.
        error: String,
        /// How long to wait at least.
        after: Option<Duration>,
    },
    /// The endpoint is in order, and there may be a result another time.
    NotNow {
        /// The same.
        error: String,
        /// The same.
        after: Option<Duration>,
    },
    /// There will never be one.
    Never {
        /// The same.
        error: String,
    },
}

/// Whether the head of an answer promises a result.
pub(super) fn head(status: StatusCode, headers: &HeaderMap) -> Result<(), Refusal> {
    // Without the reason phrase: the number says it all, and the phrase is the endpoint's text.
    let mut error = format!("the service answered {}", status.as_u16());
    let after = || retry_after(headers, SystemTime::now());
    let final_by_status = matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::GONE
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY
    );
    Err(if status.is_success() {
        return Ok(());
    } else if final_by_status || is_final(headers) {
        Refusal::Never { error }
    } else if status.is_server_error() {
        let after = after();
        Refusal::Broken { error, after }
    } else {
        if status.is_redirection() {
            error += ", and redirects are not followed";
        }
        let after = after();
        Refusal::NotNow { error, after }
    })
}

/// The result in `body`. A body that is no result is retried: the service may be in the middle of a deployment.
pub(super) fn result(body: Vec<u8>) -> Result<String, Refusal> {
    let not = |why: &str| Refusal::NotNow {
        error: format!("the service's answer {why}"),
        after: None,
    };
    let result = String::from_utf8(body).map_err(|_| not("is not UTF-8"))?;
    // Databases do not keep it in text.
    if result.contains('\0') {
        return Err(not("holds a NUL character"));
    }
    Ok(result)
}

/// Whether the endpoint says that another attempt makes no sense.
fn is_final(headers: &HeaderMap) -> bool {
    let value = headers.get(SHOULD_RETRY).and_then(|v| v.to_str().ok());
    value.is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
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

    fn refusal(status: u16, headers: &HeaderMap) -> Refusal {
        head(StatusCode::from_u16(status).unwrap(), headers).unwrap_err()
    }

    #[test]
    fn what_the_service_calls_final_is_whatever_its_status() {
        for (value, expected) in [
            ("false", true),
            (" FALSE", true),
            ("true", false),
            ("no", false),
        ] {
            let headers = HeaderMap::from_iter([(
                SHOULD_RETRY.parse::<reqwest::header::HeaderName>().unwrap(),
                value.parse().unwrap(),
            )]);
            for status in [302, 404, 429, 500, 503] {
                let never = matches!(refusal(status, &headers), Refusal::Never { .. });
                assert_eq!(never, expected, "{status} {value}");
            }
            assert!(matches!(refusal(400, &headers), Refusal::Never { .. }));
            assert_eq!(head(StatusCode::OK, &headers), Ok(()));
        }
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
