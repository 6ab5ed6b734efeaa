use crate::client::Herald;

#[tokio::test]
async fn the_start_page_links_to_the_documentation() {
    let herald = Herald::start().await;
    let page = herald.get("/").send().await.expect(200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(page.text.contains("href=\"/docs\""));
}

#[tokio::test]
async fn the_documentation_runs_only_its_own_files() {
    let herald = Herald::start().await;
    let page = herald.get("/docs").send().await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    assert!(policy.contains("connect-src 'self';"), "{policy}");
    assert!(!page.text.contains("<style"));
    assert!(!page.text.contains("<script>"));

    let files = page
        .text
        .split(['"'])
        .filter(|part| part.starts_with("/docs/"));
    let mut served = 0;
    for file in files {
        let answer = herald.get(file).send().await.expect(200);
        let kind = answer.header("content-type").unwrap();
        let expected = if file.ends_with(".css") {
            "text/css"
        } else {
            "text/javascript"
        };
        assert!(kind.starts_with(expected), "{file}: {kind}");
        assert!(!answer.text.is_empty());
        served += 1;
    }
    assert_eq!(served, 3);
}

#[tokio::test]
async fn the_documentation_sends_the_csrf_token_of_the_session() {
    let herald = Herald::start().await;
    let script = herald.get("/docs/docs.js").send().await.expect(200).text;
    for part in [
        "requestInterceptor: addCsrfToken",
        "fetch('/api/v1/auth/session')",
        "request.headers['X-CSRF-Token']",
        "url: '/api/openapi.json'",
    ] {
        assert!(script.contains(part), "{part}");
    }
}
