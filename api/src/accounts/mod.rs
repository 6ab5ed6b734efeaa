//! Who is who: passwords and access tokens, for every way in (HTTP, MQTT, the command line).

mod bounds;
mod changes;
mod directory;
mod error;
pub(crate) mod known_browsers;
pub(crate) mod password_memory;
pub(crate) mod passwords;
pub(crate) mod secret;
mod seed;
mod sign_in;
pub(crate) mod throttle;
mod tokens;

pub use bounds::TOKEN_PREFIX;
pub(crate) use changes::AccountUpdate;
pub use directory::Accounts;
pub use error::AccountError;
pub use tokens::{IssuedToken, TokenRequest, TokenScope};
