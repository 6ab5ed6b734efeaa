//! Browsers that are known to an account, by a cookie (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
//!
//! Whoever signs in gets a mark for that account. It opens nothing: a sign-in that comes with it has a count of failures of
//! its own, so that what others guess at the same address does not lock the owner out. A mark is signed with the hash of the
//! account's password, salt included: nothing has to be stored for it, every node knows it, and it ends with the password.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use herald_store::{Timestamp, User};
use hmac::{Hmac, Mac as _};
use poem::{
    Request,
    web::cookie::{Cookie, SameSite},
};
use sha2::Sha256;

/// The `__Host-` prefix makes browsers insist on Secure, on Path=/ and on no Domain.
const COOKIE: &str = "__Host-herald-device";
/// How long a mark is good for, and its cookie kept, after the last sign-in.
const LIFETIME: Duration = Duration::from_secs(180 * 24 * 60 * 60);
/// Accounts that one browser may be known to; a further one displaces that of the oldest sign-in.
const ACCOUNTS: usize = 4;
/// Separates the marks of a cookie.
const SEPARATOR: char = '.';
/// Begins what is signed, so that another use of the same key cannot be taken for it.
const CONTEXT: &[u8] = b"herald device cookie 1\0";

const ID_BYTES: usize = 16;
const EXPIRY_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
const BYTES: usize = ID_BYTES + EXPIRY_BYTES + MAC_BYTES;

/// A browser, as one account knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BrowserId([u8; ID_BYTES]);

impl BrowserId {
    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

#[cfg(test)]
impl BrowserId {
    pub(crate) fn of_test(byte: u8) -> Self {
        Self([byte; ID_BYTES])
    }
}

/// By what an account knows a browser: an id, an expiry, and the MAC of both.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark([u8; BYTES]);

/// The marks that came with a request, not verified, of any accounts.
pub(crate) struct BrowserMarks(Vec<Mark>);

impl BrowserMarks {
    pub(crate) fn of(request: &Request) -> Self {
        let cookie = request.cookie().get(COOKIE);
        cookie.map_or_else(
            || Self(Vec::new()),
            |cookie| Self::parse(cookie.value_str()),
        )
    }

    fn parse(value: &str) -> Self {
        Self(
            value
                .split(SEPARATOR)
                .take(ACCOUNTS)
                .filter_map(Mark::parse)
                .collect(),
        )
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The browser, if `user` knows it.
    pub(crate) fn known_to(&self, user: &User, now: Timestamp) -> Option<BrowserId> {
        let known = self.0.iter().find(|mark| mark.is_of(user, now))?;
        Some(known.id())
    }

    /// The cookie of a browser from which `user` has just signed in: known to `user` from now on, and still to the others.
    pub(crate) fn cookie(&self, user: &User, now: Timestamp) -> Cookie {
        // The same id as before: signing in often gives no more tries than signing in once.
        let id = self.known_to(user, now);
        let id = id.unwrap_or_else(|| BrowserId(rand::random()));
        let others = self.0.iter().filter(|mark| mark.id() != id);
        let marks: Vec<String> = std::iter::once(&Mark::new(id, user, now + LIFETIME))
            .chain(others)
            .take(ACCOUNTS)
            .map(|mark| URL_SAFE_NO_PAD.encode(mark.0))
            .collect();
        let mut cookie = Cookie::new_with_str(COOKIE, marks.join(&SEPARATOR.to_string()));
        cookie.set_path("/");
        cookie.set_secure(true);
        cookie.set_http_only(true);
        cookie.set_same_site(SameSite::Strict);
        cookie.set_max_age(LIFETIME);
        cookie
    }
}

impl Mark {
    fn new(id: BrowserId, user: &User, expires_at: Timestamp) -> Self {
        let mut bytes = [0; BYTES];
        let (signed, mac) = bytes.split_at_mut(ID_BYTES + EXPIRY_BYTES);
        let (own, expiry) = signed.split_at_mut(ID_BYTES);
        own.copy_from_slice(&id.0);
        expiry.copy_from_slice(&expires_at.as_millis().to_be_bytes());
        mac.copy_from_slice(&hmac(signed, user).finalize().into_bytes());
        Self(bytes)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (length == BYTES).then_some(Self(bytes))
    }

    fn id(&self) -> BrowserId {
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&self.0[..ID_BYTES]);
        BrowserId(id)
    }

    fn expires_at(&self) -> Timestamp {
        let mut millis = [0; EXPIRY_BYTES];
        millis.copy_from_slice(&self.0[ID_BYTES..ID_BYTES + EXPIRY_BYTES]);
        Timestamp::from_millis(i64::from_be_bytes(millis))
    }

    /// Compares in constant time.
    fn is_of(&self, user: &User, now: Timestamp) -> bool {
        let (signed, mac) = self.0.split_at(ID_BYTES + EXPIRY_BYTES);
        self.expires_at() > now && hmac(signed, user).verify_slice(mac).is_ok()
    }
}

fn hmac(signed: &[u8], user: &User) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(user.password_hash.as_bytes());
    let mut mac = mac.expect("HMAC takes a key of any length");
    mac.update(CONTEXT);
    mac.update(signed);
    mac.update(user.id.as_str().as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use herald_acl::{Role, Username};
    use herald_store::UserId;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW)
    }

    fn user(id: &str, password_hash: &str) -> User {
        User {
            id: UserId::from_string(id),
            username: Username::parse("alice").unwrap(),
            password_hash: password_hash.into(),
            role: Role::User,
            disabled: false,
            created_at: now(),
        }
    }

    fn sign_in(browser: &BrowserMarks, user: &User, now: Timestamp) -> BrowserMarks {
        BrowserMarks::parse(browser.cookie(user, now).value_str())
    }

    fn none() -> BrowserMarks {
        BrowserMarks(Vec::new())
    }

    #[test]
    fn a_browser_is_known_to_its_account_until_the_password_changes_or_time_is_over() {
        let alice = user("1", "$argon2id$a");
        let browser = sign_in(&none(), &alice, now());
        let known = browser.known_to(&alice, now());
        assert!(known.is_some());
        assert_eq!(browser.known_to(&user("2", "$argon2id$a"), now()), None);
        assert_eq!(browser.known_to(&user("1", "$argon2id$b"), now()), None);
        assert_eq!(browser.known_to(&alice, now() + LIFETIME), None);
        // It is the same one after another sign-in, for as long again.
        let later = now() + LIFETIME / 2;
        let again = sign_in(&browser, &alice, later);
        assert_eq!(again.known_to(&alice, now() + LIFETIME), known);
        assert_ne!(
            sign_in(&none(), &alice, now()).known_to(&alice, now()),
            known
        );
    }

    #[test]
    fn what_was_altered_is_unknown() {
        let alice = user("1", "$argon2id$a");
        let BrowserMarks(marks) = sign_in(&none(), &alice, now());
        for bit in 0..BYTES * 8 {
            let mut altered = marks[0];
            altered.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                BrowserMarks(vec![altered]).known_to(&alice, now()),
                None,
                "{bit}"
            );
        }
        let cookie = none().cookie(&alice, now());
        for wrong in [
            "",
            ".",
            "...",
            "\u{1F600}",
            &"A".repeat(10_000),
            &cookie.value_str()[1..],
        ] {
            assert!(BrowserMarks::parse(wrong).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_browser_is_known_to_the_accounts_that_signed_in_last() {
        let users: Vec<_> = (0..=ACCOUNTS)
            .map(|n| user(&n.to_string(), "$argon2id$"))
            .collect();
        let mut browser = none();
        for user in &users {
            browser = sign_in(&browser, user, now());
        }
        let known = users
            .iter()
            .map(|user| browser.known_to(user, now()).is_some());
        assert_eq!(known.collect::<Vec<_>>(), [false, true, true, true, true]);
        let value = browser.cookie(&users[1], now()).value_str().to_owned();
        assert!(value.len() < 310, "{}", value.len());
    }
}
