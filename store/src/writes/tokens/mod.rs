//! Access tokens that are made, used and revoked.

mod create;
mod end;

use crate::statement::Statement;
use crate::writer::{Channel, Operation, Transaction};
use crate::{Store, StoreError, Timestamp, TokenId};

pub use create::{CreateToken, NewToken, TokenOrigin};
pub(crate) use end::end_with;

impl Store {
    /// Notes that the token whose secret has this hash was used at `now`. It may be lost if there is too much to write, or in a
    /// crash.
    pub fn touch_token(&self, id: &TokenId, token_hash: &str, now: Timestamp) {
        self.credentials().touch_token(token_hash, now);
        let id = id.clone();
        self.note(Touch { id, now });
    }
}

struct Touch {
    id: TokenId,
    now: Timestamp,
}

impl Operation for Touch {
    type Output = ();

    /// The next use is noted again.
    const DURABLE: bool = false;

    /// In order with all else that is written of a token.
    const CHANNEL: Channel = Channel::Durable;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let touch = Statement::new(
            "UPDATE tokens SET last_used_at = $1
             WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $3)",
        )
        .bind(self.now.as_millis())
        .bind(self.id.as_str())
        .bind(self.now.as_millis());
        tx.execute(touch).await?;
        Ok(())
    }
}
