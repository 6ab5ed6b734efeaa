//! What a test calls accounts, and what the server calls them.

/// The password of each test account.
#[must_use]
pub fn password(username: &str) -> String {
    match username {
        "admin" => "admin".into(),
        name => format!("password of {name}"),
    }
}

/// The names of one test: the same on both sides on a server of its own, and with the test's number on a shared one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(Option<u32>);

impl Names {
    pub(crate) fn numbered(number: u32) -> Self {
        Self(Some(number))
    }

    /// The name of the account that the test calls `user`.
    pub(crate) fn name(self, user: &str) -> String {
        match self.0 {
            Some(number) if !user.is_empty() => format!("{user}-{number}"),
            _ => user.into(),
        }
    }

    /// A name and a password as the server has them.
    pub(crate) fn credentials(self, user: &str, secret: &str) -> (String, String) {
        let name = self.name(user);
        let is_own = secret == password(user);
        let secret = if is_own {
            password(&name)
        } else {
            secret.into()
        };
        (name, secret)
    }

    pub(crate) fn own(self, user: &str, what: &str) -> String {
        format!("users/{}/{what}", self.name(user))
    }

    pub(crate) fn topic(self, name: &str) -> String {
        match self.0 {
            Some(number) => format!("broadcast/{number}/{name}"),
            None => format!("broadcast/{name}"),
        }
    }
}
