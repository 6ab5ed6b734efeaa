//! One rule: its subject, actions, effect and topics.

use crate::principal::Principal;
use crate::role::Role;
use crate::template::FilterTemplate;
use crate::username::Username;

/// What a client asks to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send a message to a topic.
    Publish,
    /// Receive the messages of a topic filter.
    Subscribe,
}

/// The actions that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actions {
    /// [`Action::Publish`] only.
    Publish,
    /// [`Action::Subscribe`] only.
    Subscribe,
    /// Every action.
    Both,
}

/// What a rule does with the actions it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It allows them, unless another rule denies them.
    Allow,
    /// It denies them, whatever other rules allow.
    Deny,
}

/// The users that a rule concerns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Every user.
    Everyone,
    /// The users of one role.
    Role(Role),
    /// One user.
    User(Username),
}

/// A rule of a [`Policy`](crate::Policy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What decisions name.
    pub id: String,
    /// The users it concerns.
    pub subject: Subject,
    /// The actions it is about.
    pub actions: Actions,
    /// Whether it allows or denies them.
    pub effect: Effect,
    /// The topics it is about.
    pub filter: FilterTemplate,
}

impl Actions {
    /// Whether `action` is one of them.
    #[must_use]
    pub fn contains(self, action: Action) -> bool {
        match self {
            Self::Publish => action == Action::Publish,
            Self::Subscribe => action == Action::Subscribe,
            Self::Both => true,
        }
    }
}

impl Subject {
    /// Whether the client's user is one of them.
    #[must_use]
    pub fn contains(&self, principal: &Principal<'_>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Role(role) => *role == principal.role,
            Self::User(username) => username == principal.username,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_contain_what_they_are_named_for() {
        assert!(Actions::Publish.contains(Action::Publish));
        assert!(!Actions::Publish.contains(Action::Subscribe));
        assert!(Actions::Subscribe.contains(Action::Subscribe));
        assert!(!Actions::Subscribe.contains(Action::Publish));
        assert!(Actions::Both.contains(Action::Publish));
        assert!(Actions::Both.contains(Action::Subscribe));
    }

    #[test]
    fn a_subject_contains_its_users() {
        let bob = Username::parse("bob").unwrap();
        let alice = Username::parse("alice").unwrap();
        let principal = Principal {
            username: &bob,
            role: Role::User,
            client_id: "phone",
        };
        assert!(Subject::Everyone.contains(&principal));
        assert!(Subject::Role(Role::User).contains(&principal));
        assert!(!Subject::Role(Role::Admin).contains(&principal));
        assert!(Subject::User(bob.clone()).contains(&principal));
        assert!(!Subject::User(alice).contains(&principal));
    }
}
