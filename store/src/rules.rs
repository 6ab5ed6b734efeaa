//! Access rules: who may publish and subscribe to what.

use herald_acl::{Actions, Effect, FilterTemplate, Role, Rule, Subject};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::Page;
use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::rights::{Changed, record};
use crate::users::parse_username;
use crate::writer::Operation;
use crate::{RuleId, Store, StoreError, Timestamp};

/// The most rules there can be: each is looked at for what clients do.
pub const MAX_RULES: u32 = 1000;

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

/// All of a rule that its author decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleContent {
    /// The users it concerns. A user that is named need not exist.
    pub subject: Subject,
    /// The actions it is about.
    pub actions: Actions,
    /// Whether it allows or denies them.
    pub effect: Effect,
    /// The topics it is about.
    pub filter: FilterTemplate,
    /// What it is for.
    pub description: Option<String>,
}

/// What came of [`Store::create_rule`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateRule {
    /// The rule was made.
    Created(StoredRule),
    /// There are [`MAX_RULES`] already.
    TooMany,
}

impl JsonBytes for StoredRule {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(self.rule.filter.as_str()), self.description.as_deref()])
    }
}

impl RuleContent {
    fn with_id(&self, id: &RuleId, created_at: Timestamp) -> StoredRule {
        StoredRule {
            rule: Rule {
                id: id.as_str().to_owned(),
                subject: self.subject.clone(),
                actions: self.actions,
                effect: self.effect,
                filter: self.filter.clone(),
            },
            description: self.description.clone(),
            created_at,
        }
    }
}

impl Store {
    /// All rules, by id.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidRule`] if one of them is none, another [`StoreError`] if the database
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
        sqlx::query(
            "SELECT id, subject_kind, subject, actions, effect, filter, description, created_at
             FROM acl_rules ORDER BY id",
        )
        .fetch_all(self.readers())
        .await?
        .iter()
        .map(stored_rule)
        .collect()
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
        sqlx::query(
            "SELECT id, subject_kind, subject, actions, effect, filter, description, created_at
             FROM acl_rules WHERE id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(self.readers())
        .await?
        .map(|row| stored_rule(&row))
        .transpose()
    }

    /// Makes a rule.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn create_rule(
        &self,
        content: RuleContent,
        now: Timestamp,
    ) -> Result<CreateRule, StoreError> {
        let id = RuleId::new();
        self.write(Create { id, content, now }).await
    }

    /// Replaces all of a rule but its id and when it was made. `None`: there is no such rule.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn replace_rule(
        &self,
        id: &RuleId,
        content: RuleContent,
        now: Timestamp,
    ) -> Result<Option<StoredRule>, StoreError> {
        let id = id.clone();
        self.write(Replace { id, content, now }).await
    }

    /// Deletes a rule. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn delete_rule(&self, id: &RuleId, now: Timestamp) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write(Delete { id, now }).await
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

/// The kind of a subject, and which one of its kind.
fn subject_columns(subject: &Subject) -> (&'static str, Option<&str>) {
    match subject {
        Subject::Everyone => ("everyone", None),
        Subject::Role(role) => ("role", Some(role.as_str())),
        Subject::User(username) => ("user", Some(username.as_str())),
    }
}

fn actions_column(actions: Actions) -> &'static str {
    match actions {
        Actions::Publish => "publish",
        Actions::Subscribe => "subscribe",
        Actions::Both => "both",
    }
}

fn effect_column(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    }
}

struct Create {
    id: RuleId,
    content: RuleContent,
    now: Timestamp,
}

impl Operation for Create {
    type Answer = CreateRule;

    async fn run(&self, conn: &mut AnyConnection) -> Result<CreateRule, StoreError> {
        let content = &self.content;
        let (kind, subject) = subject_columns(&content.subject);
        let inserted = sqlx::query(
            "INSERT INTO acl_rules
                (id, subject_kind, subject, actions, effect, filter, description, created_at)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8
             WHERE (SELECT COUNT(*) FROM acl_rules) < $9",
        )
        .bind(self.id.as_str())
        .bind(kind)
        .bind(subject)
        .bind(actions_column(content.actions))
        .bind(effect_column(content.effect))
        .bind(content.filter.as_str())
        .bind(content.description.as_deref())
        .bind(self.now.as_millis())
        .bind(i64::from(MAX_RULES))
        .execute(&mut *conn)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(CreateRule::TooMany);
        }
        record(conn, &Changed::Policy, self.now).await?;
        Ok(CreateRule::Created(content.with_id(&self.id, self.now)))
    }

    fn changes(answer: &CreateRule) -> bool {
        matches!(answer, CreateRule::Created(_))
    }

    fn makes(&self) -> Option<&str> {
        Some(self.id.as_str())
    }
}

struct Replace {
    id: RuleId,
    content: RuleContent,
    now: Timestamp,
}

impl Operation for Replace {
    type Answer = Option<StoredRule>;

    async fn run(&self, conn: &mut AnyConnection) -> Result<Option<StoredRule>, StoreError> {
        let content = &self.content;
        let (kind, subject) = subject_columns(&content.subject);
        let created_at: Option<i64> = sqlx::query_scalar(
            "UPDATE acl_rules SET subject_kind = $2, subject = $3, actions = $4, effect = $5,
                filter = $6, description = $7
             WHERE id = $1 RETURNING created_at",
        )
        .bind(self.id.as_str())
        .bind(kind)
        .bind(subject)
        .bind(actions_column(content.actions))
        .bind(effect_column(content.effect))
        .bind(content.filter.as_str())
        .bind(content.description.as_deref())
        .fetch_optional(&mut *conn)
        .await?;
        let Some(created_at) = created_at else {
            return Ok(None);
        };
        record(conn, &Changed::Policy, self.now).await?;
        let created_at = Timestamp::from_millis(created_at);
        Ok(Some(content.with_id(&self.id, created_at)))
    }

    fn changes(answer: &Option<StoredRule>) -> bool {
        answer.is_some()
    }
}

struct Delete {
    id: RuleId,
    now: Timestamp,
}

impl Operation for Delete {
    type Answer = bool;

    async fn run(&self, conn: &mut AnyConnection) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM acl_rules WHERE id = $1")
            .bind(self.id.as_str())
            .execute(&mut *conn)
            .await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        record(conn, &Changed::Policy, self.now).await?;
        Ok(true)
    }

    fn changes(deleted: &bool) -> bool {
        *deleted
    }
}
