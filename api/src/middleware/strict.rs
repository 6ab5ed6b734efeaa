//! Refuses requests that are not as the OpenAPI document describes them, where poem-openapi lets them pass: it ignores
//! parameters that it does not know and all but the first of a name, reads `+5` and `007` as numbers, and takes bodies
//! of any type that ends in `+json`.

use std::{collections::HashMap, sync::Arc};

use herald_store::PAGE_BYTES;
use poem::{
    Endpoint, IntoResponse as _, Request, Response, Result,
    http::{HeaderValue, Method, header},
};
use serde_json::Value;

use crate::{
    error::{ApiError, Code},
    fields::MAX_PARAMETER,
};

/// The longest query, in bytes.
const MAX_QUERY: usize = 4096;

/// The room for most other lists, and for responses that are not lists, in bytes.
const LIST_ANSWER: usize = 128 * 1024;
const SMALL_ANSWER: usize = 8 * 1024;

/// What the document says about requests.
pub(crate) struct Described {
    paths: Vec<(Vec<Segment>, HashMap<Method, Operation>)>,
}

enum Segment {
    Literal(String),
    Parameter,
}

struct Operation {
    query: HashMap<String, Parameter>,
    plan: Plan,
}

/// What the operation of a request implies; in the request's extensions. Absent if there is no such operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The operation takes a body.
    pub(crate) body: bool,
    /// Its callers are signed in.
    pub(crate) signed_in: bool,
    /// It may read much.
    pub(crate) reads: bool,
    /// The room that its response is likely to need, in bytes.
    pub(crate) answer_bytes: usize,
}

struct Parameter {
    integer: bool,
}

impl Described {
    /// Reads the OpenAPI document. A message has `message_bytes` at most.
    pub(crate) fn by(document: &Value, message_bytes: usize) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        let mut paths: Vec<_> = paths
            .map(|(path, methods)| {
                let methods = methods.as_object().into_iter().flatten();
                let operations = methods.filter_map(|(method, operation)| {
                    let method: Method = method.to_uppercase().parse().ok()?;
                    Some((
                        method.clone(),
                        Operation::by(&method, operation, message_bytes),
                    ))
                });
                (segments(path), operations.collect())
            })
            .collect();
        // A literal takes precedence over a parameter.
        paths.sort_by_key(|(segments, _)| {
            let is_parameter = |segment: &Segment| matches!(segment, Segment::Parameter);
            segments.iter().map(is_parameter).collect::<Vec<_>>()
        });
        Self { paths }
    }

    fn find(&self, path: &str) -> Option<&HashMap<Method, Operation>> {
        let given: Vec<_> = path.trim_matches('/').split('/').collect();
        let (_, operations) = self.paths.iter().find(|(segments, _)| {
            segments.len() == given.len()
                && segments
                    .iter()
                    .zip(&given)
                    .all(|(segment, given)| match segment {
                        Segment::Literal(literal) => literal == given,
                        Segment::Parameter => true,
                    })
        })?;
        Some(operations)
    }
}

impl Operation {
    fn by(method: &Method, operation: &Value, message_bytes: usize) -> Self {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let signed_in = operation.get("security").is_some();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let in_query = parameters.filter(|parameter| parameter["in"] == "query");
        Self {
            query: in_query
                .filter_map(|parameter| {
                    let integer = parameter["schema"]["type"] == "integer";
                    let name = parameter["name"].as_str()?.to_owned();
                    Some((name, Parameter { integer }))
                })
                .collect(),
            plan: Plan {
                body: operation.get("requestBody").is_some(),
                signed_in,
                // `session` does not wait behind lists that its caller reads.
                reads: signed_in && method == Method::GET && id != "session",
                answer_bytes: answer_bytes(id, message_bytes),
            },
        }
    }

    fn check(&self, request: &Request) -> Result<(), ApiError> {
        self.check_query(request.uri().query().unwrap_or_default())?;
        if self.plan.body && !is_json(request) {
            return Err(ApiError::new(
                Code::UnsupportedMediaType,
                "The request needs a body with Content-Type: application/json.",
            ));
        }
        Ok(())
    }

    fn check_query(&self, query: &str) -> Result<(), ApiError> {
        let wrong = |detail: String| Err(ApiError::new(Code::BadRequest, detail));
        if query.len() > MAX_QUERY {
            return wrong(format!("A query has at most {MAX_QUERY} bytes."));
        }
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some((name, parameter)) = self.query.get_key_value(name.as_ref()) else {
                // The name may be a secret: it is not echoed.
                return wrong(format!(
                    "The query has a parameter that is not known. {}",
                    self.known()
                ));
            };
            if seen.contains(&name) {
                return wrong(format!("The parameter {name} is repeated."));
            }
            seen.push(name);
            if !parameter.allows(&value) {
                return wrong(format!("The parameter {name} is {}.", parameter.words()));
            }
        }
        Ok(())
    }

    fn known(&self) -> String {
        let mut names: Vec<_> = self.query.keys().map(String::as_str).collect();
        names.sort_unstable();
        match names.as_slice() {
            [] => "There are none here.".to_owned(),
            names => format!("Known are: {}.", names.join(", ")),
        }
    }
}

impl Parameter {
    fn allows(&self, value: &str) -> bool {
        if self.integer {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            return value == "0" || (digits && !value.is_empty() && !value.starts_with('0'));
        }
        (1..=MAX_PARAMETER).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())
    }

    fn words(&self) -> String {
        if self.integer {
            return "a whole number, written in digits".to_owned();
        }
        format!("1 to {MAX_PARAMETER} visible ASCII characters")
    }
}

/// The room that a response is likely to need, in bytes; corrected once the response is there. JSON may write each byte of
/// a text as \u00XX, and with the echo processor a message has its text twice.
fn answer_bytes(id: &str, message_bytes: usize) -> usize {
    let one_message = 2 * 6 * message_bytes;
    match id {
        // A page ends at so many bytes of JSON, unless it is a single message.
        "listMessages" | "listAllMessages" | "listNotifications" => {
            PAGE_BYTES.max(one_message) + SMALL_ANSWER
        }
        "getMessage" | "retryMessage" => one_message + SMALL_ANSWER,
        id if id.starts_with("list") => LIST_ANSWER,
        _ => SMALL_ANSWER,
    }
}

fn segments(path: &str) -> Vec<Segment> {
    let parts = path.trim_matches('/').split('/');
    parts
        .map(|part| {
            if part.starts_with('{') {
                Segment::Parameter
            } else {
                Segment::Literal(part.to_owned())
            }
        })
        .collect()
}

/// Whether the body is `application/json`, with UTF-8 as charset if any.
fn is_json(request: &Request) -> bool {
    let mut parts = request.content_type().unwrap_or_default().split(';');
    let essence = parts.next().unwrap_or_default().trim();
    let charset = parts.next().map(|part| part.trim().to_ascii_lowercase());
    let utf_8 = charset.is_none_or(|given| given.replace('"', "") == "charset=utf-8");
    essence.eq_ignore_ascii_case("application/json") && utf_8 && parts.next().is_none()
}

/// Why a request is refused whose caller is not known yet.
#[derive(Clone)]
struct Refused(ApiError);

/// Fails if `request` is not as described. To be called once its caller is known, as strangers get 401 first.
pub(crate) fn check(request: &Request) -> Result<(), ApiError> {
    match request.data::<Refused>() {
        Some(Refused(error)) => Err(error.clone()),
        None => Ok(()),
    }
}

/// Calls `endpoint` with a request that is as described, or that [`check`] refuses.
pub(crate) async fn as_described<E: Endpoint>(
    described: Arc<Described>,
    endpoint: Arc<E>,
    mut request: Request,
) -> Result<Response> {
    if let Some(operations) = described.find(request.uri().path()) {
        let method = match request.method() {
            // HEAD has the response of GET (RFC 9110, section 9.3.2).
            &Method::HEAD => &Method::GET,
            method => method,
        };
        let Some(operation) = operations.get(method) else {
            return Ok(not_allowed(operations));
        };
        request.set_data(operation.plan);
        if let Err(refused) = operation.check(&request) {
            if !operation.plan.signed_in {
                return Err(refused.into());
            }
            request.set_data(Refused(refused));
        }
    }
    Ok(endpoint.call(request).await?.into_response())
}

/// A 405 names the methods that there are (RFC 9110, section 15.5.6).
fn not_allowed(operations: &HashMap<Method, Operation>) -> Response {
    let problem = ApiError::new(Code::MethodNotAllowed, "This path has no such method.");
    let mut response = problem.into_response();
    let mut methods: Vec<_> = operations.keys().map(Method::as_str).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_most_literal_path_is_meant() {
        let document = json!({"paths": {
            "/users/{name}": {"get": {}},
            "/users/me": {"put": {}},
            "/users/{name}/delay": {"delete": {}},
        }});
        let described = Described::by(&document, 1);
        for (path, method) in [
            ("/users/alice", Some(Method::GET)),
            ("/users/me", Some(Method::PUT)),
            ("/users/me/delay", Some(Method::DELETE)),
            ("/users", None),
            ("/users/me/delay/now", None),
        ] {
            let operations = described.find(path);
            let found = operations.and_then(|operations| operations.keys().next());
            assert_eq!(found, method.as_ref(), "{path}");
        }
    }
}
