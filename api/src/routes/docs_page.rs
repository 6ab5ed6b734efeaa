//! `/docs`: Swagger UI.
//!
//! poem-openapi carries Swagger UI inside one page with inline code. Its parts are served as files here, so that the
//! Content-Security-Policy can forbid inline code, and started by `docs.js`, which adds the CSRF token to requests.

use poem::{
    Endpoint, EndpointExt, Response, Route, endpoint::make_sync, get, http::header, web::Html,
};

/// Scripts, styles and requests of the own origin only; Swagger UI's pictures are `data:` URLs in its style sheet.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                           img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                           form-action 'none'; frame-ancestors 'none'";

/// Swagger UI in parts.
pub(crate) struct DocsPage {
    script: String,
    style: String,
}

impl DocsPage {
    /// Takes apart the page that poem-openapi makes.
    pub(crate) fn of(html: &str) -> Self {
        let part = |tag: &str| {
            let start = format!("<{tag} charset=\"UTF-8\">");
            let end = format!("</{tag}>");
            let (_, rest) = html.split_once(&start)?;
            Some(rest.split_once(&end)?.0.to_owned())
        };
        // Empty only after an update of poem-openapi that changes its page; a test notices.
        Self {
            script: part("script").unwrap_or_default(),
            style: part("style").unwrap_or_default(),
        }
    }

    /// `/` (the page) and its files.
    pub(crate) fn routes(self) -> Route {
        const SCRIPT: &str = "text/javascript; charset=utf-8";
        Route::new()
            .at(
                "/",
                get(make_sync(|_| Html(include_str!("../../assets/docs.html")))
                    .map_to_response()
                    .after(|response| async move {
                        response.map(|mut response| {
                            response.headers_mut().insert(
                                header::CONTENT_SECURITY_POLICY,
                                header::HeaderValue::from_static(DOCS_POLICY),
                            );
                            response
                        })
                    })),
            )
            .at(
                "/docs.js",
                get(file(
                    SCRIPT,
                    include_str!("../../assets/docs.js").to_owned(),
                )),
            )
            .at("/swagger-ui.js", get(file(SCRIPT, self.script)))
            .at(
                "/swagger-ui.css",
                get(file("text/css; charset=utf-8", self.style)),
            )
    }
}

/// `/api/openapi.json`.
pub(crate) fn description(json: String) -> impl Endpoint<Output = Response> {
    file("application/json", json)
}

fn file(content_type: &'static str, text: String) -> impl Endpoint<Output = Response> {
    let text = bytes::Bytes::from(text);
    make_sync(move |_| {
        Response::builder()
            .content_type(content_type)
            .body(text.clone())
    })
}

#[cfg(test)]
mod tests {
    use poem_openapi::{OpenApi, OpenApiService};

    use super::*;

    struct Nothing;

    #[OpenApi]
    impl Nothing {}

    #[test]
    fn swagger_ui_comes_apart() {
        let page = OpenApiService::new(Nothing, "Nothing", "0").swagger_ui_html();
        let docs = DocsPage::of(&page);
        assert!(docs.script.contains("SwaggerUIBundle"));
        assert!(docs.style.contains(".swagger-ui"));
        assert!(docs.script.len() + docs.style.len() > page.len() / 10 * 9);
    }
}
