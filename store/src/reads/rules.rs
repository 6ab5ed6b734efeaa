//! Access rules: who may publish and subscribe to what.

use herald_acl::{Actions, Effect, FilterTemplate, Role, Rule, Subject};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::statement::Statement;
use crate::users::parse_username;
use crate::{Page, RuleId, Store, StoreError, Timestamp};

/// A rule and what administrators want to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRule {
    /// The rule itself.
    pub rule: Rule,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl JsonBytes for StoredRule {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(self.rule.filter.as_str()), self.description.as_deref()])
    }
}

impl Store {
    /// All rules, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidRule`] if one of them is invalid, another [`StoreError`] if the database
    /// cannot be read.
    pub async fn rules(&self) -> Result<Vec<Rule>, StoreError> {
        let rules = self.stored_rules().await?;
        Ok(rules.into_iter().map(|stored| stored.rule).collect())
    }

    /// As [`rules`](Self::rules), with what administrators want to know of them.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn stored_rules(&self) -> Result<Vec<StoredRule>, StoreError> {
        let rules = Statement::new(
            "SELECT id, subject_kind, subject, actions, effect, filter, description, created_at
             FROM acl_rules ORDER BY id",
        );
        let rows = self.readers().fetch_all(rules).await?;
        rows.iter().map(stored_rule).collect()
    }

    /// Up to `limit` rules by id, those after `after`.
    ///
    /// # Errors
    ///
    /// As [`Store::rules`].
    pub async fn list_rules(
        &self,
        after: Option<&RuleId>,
        limit: u32,
    ) -> Result<Page<StoredRule>, StoreError> {
        let text =
            "SELECT id, subject_kind, subject, actions, effect, filter, description, created_at
             FROM acl_rules WHERE id > $1 ORDER BY id LIMIT $2";
        let params = [
            Param::Text(after.map_or("", RuleId::as_str)),
            Param::Int(i64::from(limit) + 1),
        ];
        let lists = self.lists();
        lists
            .page(text.to_owned(), &params, limit, stored_rule)
            .await
    }

    /// The rule with this id.
    ///
    /// # Errors
    ///
    /// As [`Store::rules`].
    pub async fn rule(&self, id: &RuleId) -> Result<Option<StoredRule>, StoreError> {
        let rule = Statement::new(
            "SELECT id, subject_kind, subject, actions, effect, filter, description, created_at
             FROM acl_rules WHERE id = $1",
        )
        .bind(id.as_str());
        let row = self.readers().fetch_optional(rule).await?;
        row.as_ref().map(stored_rule).transpose()
    }
}

/// Reads a rule, which someone may have edited by hand.
fn stored_rule(row: &AnyRow) -> Result<StoredRule, StoreError> {
    let id: String = row.try_get("id")?;
    let invalid = |reason: String| StoreError::InvalidRule {
        id: id.clone(),
        reason,
    };
    let filter: &str = row.try_get("filter")?;
    let filter = FilterTemplate::parse(filter).map_err(|error| invalid(error.to_string()))?;
    let value: Option<&str> = row.try_get("subject")?;
    let subject = match (row.try_get("subject_kind")?, value) {
        ("everyone", None) => Some(Subject::Everyone),
        ("role", Some(role)) => role.parse::<Role>().ok().map(Subject::Role),
        ("user", Some(name)) => parse_username(name).ok().map(Subject::User),
        _ => None,
    };
    let actions = match row.try_get("actions")? {
        "publish" => Some(Actions::Publish),
        "subscribe" => Some(Actions::Subscribe),
        "both" => Some(Actions::Both),
        _ => None,
    };
    let effect = match row.try_get("effect")? {
        "allow" => Some(Effect::Allow),
        "deny" => Some(Effect::Deny),
        _ => None,
    };
    Ok(StoredRule {
        rule: Rule {
            subject: subject.ok_or_else(|| invalid("it concerns no such users".into()))?,
            actions: actions.ok_or_else(|| invalid("there are no such actions".into()))?,
            effect: effect.ok_or_else(|| invalid("there is no such effect".into()))?,
            filter,
            id,
        },
        description: row.try_get("description")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}
