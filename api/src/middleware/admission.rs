//! What every request must pass before anything of it is read.

use std::sync::Arc;

use poem::{Endpoint, Request, Result};

use crate::{limits::requests::Requests, middleware::origin::Origins};

/// Calls `endpoint` for requests that come neither too often nor from a foreign page. Their bodies have not been read.
pub(crate) async fn admitted<E: Endpoint>(
    requests: Arc<Requests>,
    origins: Arc<Origins>,
    endpoint: Arc<E>,
    request: Request,
) -> Result<E::Output> {
    requests.count_address(&request)?;
    if !request.method().is_safe() {
        origins.check(&request)?;
    }
    endpoint.call(request).await
}
