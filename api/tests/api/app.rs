//! The web app's files, as a browser gets them.

use herald_web::{File, INDEX, files};
use poem::http::Method;

use crate::client::Herald;

/// Those of a browser that goes to a page.
const PAGE: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// The app's files; `None` where it was built without npm.
fn hashed() -> Option<&'static File> {
    files().iter().find(|file| file.immutable)
}

#[tokio::test]
async fn every_place_in_the_app_is_its_one_page() {
    let herald = Herald::start().await;
    let home = herald.get("/").send().await.expect(200);
    assert_eq!(
        home.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    for path in ["/messages/01a2", "/admin/queue", "/account", "/no/such"] {
        let page = herald.get(path).header("accept", PAGE).send().await;
        assert_eq!(page.expect(200).text, home.text, "{path}");
    }
}

#[tokio::test]
async fn what_is_not_a_place_in_the_app_is_not_found() {
    let herald = Herald::start().await;
    for path in ["/nothing", "/favicon.ico", "/assets/index-old.js"] {
        let missing = herald.get(path).header("accept", "*/*").send().await;
        missing.expect_problem(404, "not_found");
    }
    for path in [
        "/api",
        "/api/v2",
        "/api/v1/nothing",
        "/docs/nothing",
        "/assets/x",
    ] {
        let missing = herald.get(path).header("accept", PAGE).send().await;
        missing.expect_problem(404, "not_found");
    }
    let posted = herald.post("/messages/x").header("accept", PAGE).send();
    posted.await.expect_problem(404, "not_found");
    let posted = herald.post("/").send().await;
    posted.expect_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn the_page_runs_only_the_apps_own_files() {
    let herald = Herald::start().await;
    let call = herald.get("/").header("host", "herald.example:8443");
    let page = call.send().await.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self';",
        "style-src 'self';",
        "connect-src 'self' wss://herald.example:8443;",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(page.header("vary"), Some("Accept, Accept-Encoding"));
    for inline in ["<script>", "<style", "style=", "onclick"] {
        assert!(!page.text.contains(inline), "{}", page.text);
    }
}

#[tokio::test]
async fn behind_a_proxy_that_adds_tls_the_page_may_connect_by_either_scheme() {
    let plain = Herald::start_with(|options| {
        options.tls = false;
        options.allowed_origins = vec!["https://herald.example".into()];
    })
    .await;
    let page = plain.get("/").header("host", "herald.example").send().await;
    let page = page.expect(200);
    let policy = page.header("content-security-policy").unwrap();
    let sockets = "connect-src 'self' ws://herald.example wss://herald.example;";
    assert!(policy.contains(sockets), "{policy}");
}

#[tokio::test]
async fn a_file_with_a_hash_is_kept_for_ever_and_the_page_is_asked_for() {
    let herald = Herald::start().await;
    let page = herald.get("/").send().await.expect(200);
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let tag = page.header("etag").unwrap().to_owned();
    let again = herald.get("/").header("if-none-match", &tag).send().await;
    let again = again.expect(304);
    assert_eq!(again.text, "");
    assert_eq!(again.header("etag"), Some(&*tag));
    let other = herald.get("/").header("if-none-match", "\"x\"").send();
    other.await.expect(200);

    let Some(file) = hashed() else { return };
    let kept = herald.get(file.path).send().await.expect(200);
    assert_eq!(
        kept.header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
}

#[tokio::test]
async fn a_file_comes_in_the_shortest_form_that_the_browser_takes() {
    let herald = Herald::start().await;
    let Some(file) = files().iter().find(|file| file.brotli.is_some()) else {
        return;
    };
    for (accepted, coding) in [
        ("gzip, deflate, br, zstd", Some("br")),
        ("gzip;q=0.8, br;q=0", Some("gzip")),
        ("GZIP", Some("gzip")),
        ("identity", None),
        ("br;Q=0", None),
        ("gzip; q = 0.0", None),
        ("*", Some("br")),
        ("br;q=0, *", Some("gzip")),
        ("gzip, *;q=0", Some("gzip")),
        ("xbr", None),
    ] {
        let call = herald.get(file.path).header("accept-encoding", accepted);
        let answer = call.send().await.expect(200);
        assert_eq!(answer.header("content-encoding"), coding, "{accepted}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        let length = match coding {
            Some("br") => file.brotli.unwrap().len(),
            Some(_) => file.gzip.unwrap().len(),
            None => file.plain.len(),
        };
        assert_eq!(answer.header("content-length"), Some(&*length.to_string()));
    }
}

#[tokio::test]
async fn head_tells_what_get_would() {
    let herald = Herald::start().await;
    let mut paths = vec!["/"];
    paths.extend(files().iter().map(|file| file.path).filter(|p| *p != INDEX));
    for path in paths {
        let got = herald.get(path).send().await.expect(200);
        let head = herald.call(Method::HEAD, path).send().await.expect(200);
        assert_eq!(head.text, "");
        for header in ["content-type", "content-length", "etag", "cache-control"] {
            assert_eq!(head.header(header), got.header(header), "{path} {header}");
        }
    }
}
