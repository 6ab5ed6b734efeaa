//! What to do next with what an operation has made or listed (OpenAPI 3.0.3, section 4.7.20).

use serde_json::{Map, Value, json};

struct Link {
    /// The operation, and the status of the response that has the value.
    from: (&'static str, &'static str),
    /// Where the value is in the response.
    value: &'static str,
    /// The parameter that takes it, and the operations that have the parameter.
    parameter: &'static str,
    to: &'static [&'static str],
}

const LINKS: &[Link] = &[
    Link {
        from: ("createToken", "201"),
        value: "/id",
        parameter: "id",
        to: &["revokeToken"],
    },
    Link {
        from: ("sendMessage", "202"),
        value: "/id",
        parameter: "id",
        to: &["getMessage", "deleteMessage"],
    },
    Link {
        from: ("listAllMessages", "200"),
        value: "/items/0/id",
        parameter: "id",
        to: &["retryMessage"],
    },
    Link {
        from: ("createUser", "201"),
        value: "/username",
        parameter: "name",
        to: &[
            "getUser",
            "changeUser",
            "deleteUser",
            "getUserDelay",
            "setUserDelay",
            "deleteUserDelay",
        ],
    },
    Link {
        from: ("createRule", "201"),
        value: "/id",
        parameter: "id",
        to: &["getRule", "replaceRule", "deleteRule"],
    },
];

/// Adds the links of the operation with this id.
pub(super) fn add(id: &str, operation: &mut Value) {
    for link in LINKS.iter().filter(|link| link.from.0 == id) {
        let links: Map<_, _> = link
            .to
            .iter()
            .map(|to| {
                let value = format!("$response.body#{}", link.value);
                let link = json!({"operationId": to, "parameters": {link.parameter: value}});
                ((*to).to_owned(), link)
            })
            .collect();
        operation["responses"][link.from.1]["links"] = links.into();
    }
}
