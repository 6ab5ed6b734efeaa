//! Requests, and what comes of them.

use poem::{
    Body, Endpoint as _, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderMap, Method, StatusCode, header},
};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::document::{self, Document};

/// All of the API.
pub(crate) type Api = BoxEndpoint<'static, Response>;

/// The OpenAPI document, which is the same for all but for the length of a message.
pub(crate) async fn document(endpoint: &Api) -> &'static Document {
    static DOCUMENT: OnceCell<Document> = OnceCell::const_new();
    let get = async || {
        let call = Call::new(endpoint, Method::GET, "/api/openapi.json");
        Document::new(call.send_unjudged().await.expect(200).json)
    };
    DOCUMENT.get_or_init(get).await
}

/// A request that is about to be sent.
pub(crate) struct Call<'a> {
    endpoint: &'a Api,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
}

impl<'a> Call<'a> {
    pub(crate) fn new(endpoint: &'a Api, method: Method, path: &str) -> Self {
        Self {
            endpoint,
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
        .header("host", "herald.example")
    }

    /// Sets a header; without effect on others of another name.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// Adds a header to others of its name.
    pub(crate) fn another_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn json(self, json: Value) -> Self {
        self.header("content-type", "application/json")
            .body(json.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it. Panics if the answer is not one that the OpenAPI document describes.
    pub(crate) async fn send(self) -> Answer {
        let (method, path) = (self.method.clone(), self.path.clone());
        let document = document(self.endpoint).await;
        let answer = self.send_unjudged().await;
        let path = path.split('?').next().unwrap_or_default();
        document.judge(
            method.as_str(),
            path,
            &document::Answer {
                status: answer.status.as_u16(),
                header: &|name| answer.header(name).map(str::to_owned),
                body: &answer.text,
            },
        );
        answer
    }

    async fn send_unjudged(self) -> Answer {
        let response = self.send_raw().await;
        let (parts, body) = response.into_parts();
        let bytes = body.into_vec().await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status: parts.status,
            headers: parts.headers,
            json: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }

    /// Sends it, and takes nothing of the answer.
    pub(crate) async fn send_raw(self) -> Response {
        let mut request = Request::builder()
            .method(self.method)
            .uri_str(&self.path)
            .body(self.body);
        *request.headers_mut() = self.headers;
        self.endpoint.get_response(request).await
    }
}

/// A response, all of it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) text: String,
    /// `null` if the body is not JSON.
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    pub(crate) fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(|name| name.as_str())
    }

    /// The cookie of this name that was set, with its attributes.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        let all = self.headers.get_all("set-cookie").iter();
        let mut all = all.map(|cookie| cookie.to_str().unwrap());
        all.find(|cookie| cookie.split('=').next() == Some(name))
    }

    /// `name=value` of the session's cookie that was set.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self.set_cookie("__Host-herald").expect("a cookie");
        cookie.split_once(';').unwrap().0.to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// Checks all of a problem (RFC 9457).
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(
            answer.header(header::CONTENT_TYPE.as_str()),
            Some("application/problem+json")
        );
        let problem = answer.json.as_object().expect("an object");
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        assert_eq!(problem.len(), 5);
        answer
    }
}
