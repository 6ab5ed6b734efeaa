//! Turns every error response that is not one of ours (no such path, wrong method, unreadable request, panic) into
//! problem details.

use std::sync::Arc;

use poem::{Endpoint, IntoResponse, Request, Response, Result, http::StatusCode};

use crate::error::{ApiError, Code, PROBLEM_JSON};

/// The longest detail taken from a parser, in characters: it may quote the request.
const MAX_DETAIL: usize = 300;

/// What comes before the name in a complaint about an unknown field.
const UNKNOWN: &str = "unknown field `";

/// Calls `endpoint` and makes its errors problems.
pub(crate) async fn as_problems<E: Endpoint>(
    endpoint: Arc<E>,
    request: Request,
) -> Result<Response> {
    let response = endpoint.get_response(request).await;
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    if !failed || response.content_type() == Some(PROBLEM_JSON) {
        return Ok(response);
    }
    Ok(problem(response).await.into_response())
}

async fn problem(response: Response) -> ApiError {
    match response.status() {
        StatusCode::NOT_FOUND => ApiError::new(Code::NotFound, "There is nothing at this path."),
        StatusCode::METHOD_NOT_ALLOWED => {
            ApiError::new(Code::MethodNotAllowed, "This path has no such method.")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::new(
            Code::UnsupportedMediaType,
            "The request needs a body with Content-Type: application/json.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::TooLarge, "The request is too large."),
        status if status.is_client_error() => {
            ApiError::new(Code::BadRequest, parser_detail(response).await)
        }
        status => {
            tracing::error!(
                status = status.as_u16(),
                "a request failed in the web framework"
            );
            ApiError::new(
                Code::Internal,
                "The server failed to answer. Its log says why.",
            )
        }
    }
}

/// What a parser of poem says about a request. It knows nothing but the request.
async fn parser_detail(response: Response) -> String {
    let text = response.into_body().into_string().await.unwrap_or_default();
    without_value(&text).chars().take(MAX_DETAIL).collect()
}

/// A value of the wrong type may be a password, and so may an unknown name: neither is echoed.
fn without_value(complaint: &str) -> String {
    let value_at = complaint.find(", found ");
    let name_at = complaint.find(UNKNOWN).map(|at| at + UNKNOWN.len() - 2);
    // Whichever comes first.
    let Some(at) = value_at.into_iter().chain(name_at).min() else {
        return complaint.to_owned();
    };
    let (before, value) = complaint.split_at(at);
    let place = value.rfind(" (occurred while parsing");
    let place = place.map_or("", |at| &value[at..]);
    format!("{before}.{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_does_not_repeat_the_value_that_it_is_about() {
        for value in [
            "[\"s3cret\"]",
            "\"s3cret (occurred while parsing \\\"x\\\")\"",
        ] {
            let complaint = format!(
                "Expected input type \"string\", found {value}. (occurred while parsing \"Login\")"
            );
            assert_eq!(
                without_value(&complaint),
                "Expected input type \"string\". (occurred while parsing \"Login\")"
            );
        }
        for name in [
            "s3cret",
            "s3cret`, found x",
            "s3cret (occurred while parsing",
        ] {
            let complaint = format!("failed to parse \"Login\": unknown field `{name}`.");
            let detail = without_value(&complaint);
            assert!(
                detail.starts_with("failed to parse \"Login\": unknown field."),
                "{detail}"
            );
            assert!(!detail.contains("s3cret"), "{detail}");
        }
        assert_eq!(without_value("EOF at line 1"), "EOF at line 1");
    }
}
