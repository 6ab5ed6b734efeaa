//! The servers that share the database.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::statement::Statement;
use crate::{NodeId, Store, StoreError, Timestamp};

/// A server, as the others see it. Times are by the clock of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which: another one at each start, and after each time that it was cut off.
    pub id: NodeId,
    /// What its machine calls itself.
    pub name: String,
    /// Herald's version.
    pub version: String,
    /// When it began under this id.
    pub started_at: Timestamp,
    /// Until when it is known to be there.
    pub lease_until: Timestamp,
    /// The last change of rights that is in force there.
    pub rights_seen: i64,
    /// Whether its lease has not ended.
    pub stands: bool,
}

impl Store {
    /// The servers that share the database, those first that began first. There are none of a file.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let text = format!(
            "SELECT id, name, version, started_at, lease_until, rights_seen, {} AS read_at
             FROM nodes ORDER BY started_at, id",
            self.readers().dialect().now_millis()
        );
        let nodes = Statement::made(text);
        let rows = self.readers().fetch_all(nodes).await?;
        rows.iter().map(node).collect()
    }
}

fn node(row: &AnyRow) -> Result<Node, StoreError> {
    let (lease_until, read_at): (i64, i64) = (row.try_get("lease_until")?, row.try_get("read_at")?);
    Ok(Node {
        id: NodeId::from_string(row.try_get::<String, _>("id")?),
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        started_at: Timestamp::from_millis(row.try_get("started_at")?),
        lease_until: Timestamp::from_millis(lease_until),
        rights_seen: row.try_get("rights_seen")?,
        stands: lease_until > read_at,
    })
}
