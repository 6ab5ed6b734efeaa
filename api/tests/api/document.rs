//! The OpenAPI document as a judge: is an answer one that it describes?

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// Where the described paths begin.
pub(crate) const BASE: &str = "/api/v1";

/// A document, with the schemas that were needed so far.
pub(crate) struct Document {
    pub(crate) json: Value,
    /// The schemas of components in the words of JSON Schema.
    components: Value,
    /// By JSON pointer.
    validators: Mutex<HashMap<String, &'static Validator>>,
}

/// What a client got.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) header: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) body: &'a str,
}

impl Document {
    pub(crate) fn new(json: Value) -> Self {
        let mut components = json["components"].clone();
        as_json_schema(&mut components);
        Self {
            json,
            components,
            validators: Mutex::default(),
        }
    }

    /// Each operation: its path, its method in lower case, and what is said of it.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        let paths = self.json["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(|(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }

    /// Panics unless the answer to `method` on `path` (with [`BASE`], without a query) is one that is described.
    pub(crate) fn judge(&self, method: &str, path: &str, answer: &Answer<'_>) {
        let Some(path) = path.strip_prefix(BASE) else {
            return;
        };
        let what = format!(
            "{method} {path} answered {}: {}",
            answer.status, answer.body
        );
        let method = method.to_lowercase();
        // A preflight (Fetch Standard, section 4.8) is no operation.
        if method == "options" && answer.status == 204 {
            return;
        }
        let Some((template, operations)) = self.find(path) else {
            // Foreign pages do not learn what there is.
            let expected = [403, 404].contains(&answer.status);
            assert!(expected, "no such path is described: {what}");
            return self.judge_problem(answer, &what);
        };
        let (method, head) = match method.as_str() {
            "head" => ("get", true),
            method => (method, false),
        };
        if operations.get(method).is_none() {
            assert_eq!(answer.status, 405, "no such method is described: {what}");
            assert!((answer.header)("allow").is_some(), "no Allow: {what}");
            return self.judge_problem(answer, &what);
        }
        let pointer = format!(
            "/paths/{}/{method}/responses/{}",
            escaped(template),
            answer.status
        );
        let (pointer, response) = self
            .resolve(pointer)
            .unwrap_or_else(|| panic!("the status is not described: {what}"));
        self.judge_headers(response, answer, &what);
        if !head {
            self.judge_body(&pointer, response, answer, &what);
        }
    }

    fn judge_headers(&self, response: &Value, answer: &Answer<'_>, what: &str) {
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let Some(given) = (answer.header)(name) else {
                assert!(header["required"] != true, "no {name}: {what}");
                continue;
            };
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => given
                    .parse::<i64>()
                    .unwrap_or_else(|_| panic!("{name} is no number: {what}"))
                    .into(),
                _ => Value::from(given),
            };
            let mut schema = header["schema"].clone();
            as_json_schema(&mut schema);
            let errors = compile(&schema)
                .iter_errors(&value)
                .map(|error| error.to_string())
                .collect::<Vec<_>>();
            assert!(
                errors.is_empty(),
                "{name} is not as described, {errors:?}: {what}"
            );
        }
    }

    fn judge_body(&self, pointer: &str, response: &Value, answer: &Answer<'_>, what: &str) {
        let Some(content) = response.get("content") else {
            assert_eq!(answer.body, "", "a body that is not described: {what}");
            return;
        };
        let content_type = (answer.header)("content-type").unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        assert!(
            content.get(essence).is_some(),
            "{content_type:?} is not described: {what}"
        );
        let schema = format!("{pointer}/content/{}/schema", escaped(essence));
        let errors = self.errors(&schema, &parsed(answer, what));
        assert!(
            errors.is_empty(),
            "the body is not as described, {errors:?}: {what}"
        );
    }

    fn judge_problem(&self, answer: &Answer<'_>, what: &str) {
        let content_type = (answer.header)("content-type");
        assert_eq!(
            content_type.as_deref(),
            Some("application/problem+json"),
            "{what}"
        );
        let errors = self.errors("/components/schemas/Problem", &parsed(answer, what));
        assert!(errors.is_empty(), "{errors:?}: {what}");
    }

    /// The example of a body: its own, or that of its schema.
    pub(crate) fn example<'a>(&'a self, media: &'a Value) -> &'a Value {
        let own = media.get("example");
        let reference = media["schema"]["$ref"].as_str();
        let schema = reference.and_then(|at| self.json.pointer(at.trim_start_matches('#')));
        own.or_else(|| schema?.get("example"))
            .unwrap_or(&Value::Null)
    }

    /// Why `value` is not as the schema at this JSON pointer says.
    pub(crate) fn errors(&self, pointer: &str, value: &Value) -> Vec<String> {
        self.validator(pointer)
            .iter_errors(value)
            .map(|error| error.to_string())
            .collect()
    }

    fn validator(&self, pointer: &str) -> &'static Validator {
        let mut validators = self
            .validators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        validators.entry(pointer.to_owned()).or_insert_with(|| {
            let mut schema = self.json.pointer(pointer).expect("a schema").clone();
            as_json_schema(&mut schema);
            let whole = json!({"allOf": [schema], "components": self.components});
            // There are as many as there are schemas in the document.
            Box::leak(Box::new(compile(&whole)))
        })
    }

    /// The path of the document that this path is one of: with the fewest parameters.
    fn find(&self, path: &str) -> Option<(&str, &Value)> {
        let given: Vec<_> = path.trim_end_matches('/').split('/').collect();
        let paths = self.json["paths"].as_object().unwrap().iter();
        let matching = paths.filter(|(template, _)| {
            let template: Vec<_> = template.split('/').collect();
            template.len() == given.len()
                && template
                    .iter()
                    .zip(&given)
                    .all(|(part, given)| part.starts_with('{') || part == given)
        });
        let found = matching.min_by_key(|(template, _)| template.matches('{').count());
        found.map(|(template, operations)| (template.as_str(), operations))
    }

    /// What is at this JSON pointer, or where a reference there leads.
    fn resolve(&self, pointer: String) -> Option<(String, &Value)> {
        let there = self.json.pointer(&pointer)?;
        match there["$ref"].as_str() {
            Some(reference) => self.resolve(reference.trim_start_matches('#').to_owned()),
            None => Some((pointer, there)),
        }
    }
}

fn parsed(answer: &Answer<'_>, what: &str) -> Value {
    serde_json::from_str(answer.body).unwrap_or_else(|error| panic!("{error}: {what}"))
}

fn compile(schema: &Value) -> Validator {
    jsonschema::options()
        .with_draft(Draft::Draft4)
        .should_validate_formats(true)
        .build(schema)
        .unwrap_or_else(|error| panic!("{error}: {schema}"))
}

/// A part of a JSON pointer (RFC 6901, section 3).
fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

/// OpenAPI 3.0's schemas are those of JSON Schema's fourth draft, but for `nullable`, which widens the type and the
/// enum beside it.
fn as_json_schema(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(as_json_schema),
        Value::Object(map) => {
            map.remove("example");
            map.values_mut().for_each(as_json_schema);
            if map.remove("nullable") == Some(Value::Bool(true)) {
                let not_null = schema.take();
                *schema = json!({"anyOf": [{"enum": [null]}, not_null]});
            }
        }
        _ => {}
    }
}
