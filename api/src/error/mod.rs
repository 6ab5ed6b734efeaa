//! What a client gets when a request fails: problem details (RFC 9457) with a stable code.

mod api_error;
mod code;
mod failure;
mod problem;

pub(crate) use api_error::ApiError;
pub(crate) use code::{Code, codes};
pub(crate) use failure::{Failure, narrowed};
pub(crate) use problem::PROBLEM_JSON;
