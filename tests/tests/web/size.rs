//! What the first load costs, as a browser gets it.

use herald_tests::{Answer, Http};
use reqwest::Method;

use crate::world::World;

/// The first load's JavaScript, compressed.
const FIRST_LOAD: usize = 120 * 1024;

async fn get(http: &Http, path: &str, encoding: &str) -> Answer {
    let request = http.request(Method::GET, path);
    http.send(request.header("accept-encoding", encoding)).await
}

/// The scripts that a page names, of itself or to be fetched ahead.
fn scripts(page: &str) -> Vec<String> {
    page.split('"')
        .filter(|part| part.starts_with("/assets/") && part.ends_with(".js"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_first_load_is_less_than_120_kb_of_javascript() {
    let world = World::start(0).await;
    let http = Http::anonymous(world.herald());
    let page = get(&http, "/", "identity").await;
    let scripts = scripts(&page.text);
    assert!(!scripts.is_empty(), "the app was not built: {}", page.text);
    let mut bytes = 0;
    for script in scripts {
        let answer = get(&http, &script, "br").await;
        assert_eq!(answer.headers["content-encoding"], "br", "{script}");
        assert_eq!(
            answer.headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
        let length = answer.headers["content-length"].to_str().unwrap();
        bytes += length.parse::<usize>().unwrap();
    }
    println!("the first load is {bytes} bytes of JavaScript");
    assert!(bytes < FIRST_LOAD, "{bytes} bytes");
}
