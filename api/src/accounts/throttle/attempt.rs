//! One sign-in, and what its failure counts for.

use std::{
    mem::{Discriminant, discriminant},
    net::IpAddr,
};

use herald_acl::Username;
use herald_store::SignInKey;
use sha2::{Digest as _, Sha256};

use crate::{accounts::known_browsers::BrowserId, limits::address::network};

/// Who tries a password.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    /// Anybody.
    Stranger,
    /// A browser that signed in to the account before: what strangers do does not count.
    KnownBrowser(BrowserId),
    /// A user who is signed in to the account: likewise.
    SignedIn,
}

/// What failures are counted by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Address(IpAddr),
    Account(Username),
    /// Of an address on an account, or on names that cannot be anyone's.
    Pair(IpAddr, Option<Username>),
    /// Of a browser on the account that it signed in to before.
    KnownBrowser(BrowserId),
    /// Of a user who is signed in.
    SignedIn(Username),
}

impl Key {
    /// What the servers of one database count it by.
    pub(super) fn shared(&self) -> SignInKey {
        match self {
            Self::Address(address) => digest(&["address", &address.to_string()]),
            Self::Account(account) => digest(&["account", account.as_str()]),
            Self::Pair(address, account) => {
                let account = account.as_ref().map_or("", Username::as_str);
                digest(&["pair", &address.to_string(), account])
            }
            Self::KnownBrowser(browser) => digest(&["browser", &browser.text()]),
            Self::SignedIn(account) => digest(&["signed in", account.as_str()]),
        }
    }
}

/// None of the parts has a NUL in it.
fn digest(parts: &[&str]) -> SignInKey {
    SignInKey::from_digest(Sha256::digest(parts.join("\0")).into())
}

/// One sign-in: where it comes from and whom it is for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Attempt {
    address: IpAddr,
    account: Option<Username>,
    who: Who,
}

/// Which sign-ins wait behind one another. All marks of an account at an address share one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct AccountKey {
    address: IpAddr,
    account: Option<Username>,
    who: Discriminant<Who>,
}

impl Attempt {
    /// `account` is `None` when the given name cannot be anyone's.
    pub(crate) fn new(address: IpAddr, account: Option<Username>) -> Self {
        Self {
            address: network(address),
            account,
            who: Who::Stranger,
        }
    }

    /// By a browser that signed in to `account` before.
    pub(crate) fn by_known_browser(address: IpAddr, account: Username, browser: BrowserId) -> Self {
        Self {
            who: Who::KnownBrowser(browser),
            ..Self::new(address, Some(account))
        }
    }

    /// By a user who is signed in to `account` and is asked for the password again.
    pub(crate) fn again(address: IpAddr, account: Username) -> Self {
        Self {
            who: Who::SignedIn,
            ..Self::new(address, Some(account))
        }
    }

    /// What counts as its address.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    pub(super) fn account(&self) -> Option<&Username> {
        self.account.as_ref()
    }

    /// The address and the account, if there can be one.
    pub(super) fn on(&self) -> Option<(IpAddr, Username)> {
        Some((self.address, self.account.clone()?))
    }

    /// By what the servers of one database know that it was right.
    pub(super) fn shared_when_right(&self) -> Option<SignInKey> {
        let (address, account) = self.on()?;
        Some(digest(&["right", &address.to_string(), account.as_str()]))
    }

    pub(super) fn is_stranger(&self) -> bool {
        self.who == Who::Stranger
    }

    /// What it shares with those that it waits behind.
    pub(crate) fn account_key(&self) -> AccountKey {
        AccountKey {
            address: self.address,
            account: self.account.clone(),
            who: discriminant(&self.who),
        }
    }

    /// What is counted for this attempt before all.
    pub(super) fn own_key(&self) -> Key {
        match (&self.account, self.who) {
            (Some(account), Who::SignedIn) => Key::SignedIn(account.clone()),
            (_, Who::KnownBrowser(browser)) => Key::KnownBrowser(browser),
            (account, _) => Key::Pair(self.address, account.clone()),
        }
    }

    /// All that its failure counts for.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        let stranger = self.is_stranger();
        let account = self.account.clone().filter(|_| stranger);
        let address = stranger.then_some(Key::Address(self.address));
        std::iter::once(self.own_key())
            .chain(address)
            .chain(account.map(Key::Account))
    }
}
