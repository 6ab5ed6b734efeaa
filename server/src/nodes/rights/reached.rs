//! How far changes of rights have come.

use std::fmt;

use herald_api::InForce;
use herald_store::NodeId;

/// Where the changes are in force that were committed before it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Everywhere.
    All,
    /// Everywhere else: these servers said nothing until others held them to be gone, and have ended all sessions before.
    GivenUp(Vec<NodeId>),
    /// Nobody knows.
    Unknown(Unknown),
}

/// Why it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// This server cannot put them in force.
    Here,
    /// These servers are there, and have not put them in force yet.
    There(Vec<NodeId>),
    /// The database does not say.
    Database(String),
}

impl From<&Reached> for InForce {
    fn from(reached: &Reached) -> Self {
        match reached {
            Reached::All => Self::Everywhere,
            Reached::GivenUp(_) => Self::GivenUp,
            Reached::Unknown(_) => Self::Unknown,
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(f, "in force on all servers"),
            Self::GivenUp(nodes) => write!(
                f,
                "in force; cut off, so that they have ended their sessions: {}",
                listed(nodes)
            ),
            Self::Unknown(Unknown::Here) => write!(f, "not yet in force on this server"),
            Self::Unknown(Unknown::There(nodes)) => {
                write!(f, "not yet in force on {}", listed(nodes))
            }
            Self::Unknown(Unknown::Database(error)) => {
                write!(f, "not known to be in force on all servers: {error}")
            }
        }
    }
}

fn listed(nodes: &[NodeId]) -> String {
    let ids: Vec<_> = nodes.iter().map(NodeId::as_str).collect();
    ids.join(", ")
}
