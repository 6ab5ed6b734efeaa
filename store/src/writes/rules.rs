//! Access rules that are made, replaced and deleted.

use sqlx::Row as _;

use super::rights_changes::record;
use crate::statement::{Script, Statement};
use crate::writer::{Locks, Operation, Transaction};
use crate::{Changed, RuleId, Store, StoreError, StoredRule, Timestamp};
use herald_acl::{Actions, Effect, FilterTemplate, Rule, Subject};

/// The most rules there can be: each is looked at for what clients do.
pub const MAX_RULES: u32 = 1000;

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
    type Output = CreateRule;

    fn lock(&self, locks: &mut Locks) {
        locks.rights();
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<CreateRule, StoreError> {
        let mut script = Script::default();
        let rules = script.add(Statement::new("SELECT COUNT(*) AS rules FROM acl_rules"));
        let results = tx.run(script).await?;
        let rules = results.rows(&rules).next();
        let rules: i64 = rules.ok_or(sqlx::Error::RowNotFound)?.try_get("rules")?;
        if rules >= i64::from(MAX_RULES) {
            return Ok(CreateRule::TooMany);
        }
        let content = &self.content;
        let (kind, subject) = subject_columns(&content.subject);
        let insert = Statement::new(
            "INSERT INTO acl_rules
                (id, subject_kind, subject, actions, effect, filter, description, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.id.as_str())
        .bind(kind)
        .bind(subject)
        .bind(actions_column(content.actions))
        .bind(effect_column(content.effect))
        .bind(content.filter.as_str())
        .bind(content.description.as_deref())
        .bind(self.now.as_millis());
        tx.execute(insert).await?;
        record(tx, &[Changed::Policy], self.now).await?;
        Ok(CreateRule::Created(content.with_id(&self.id, self.now)))
    }

    fn changes(output: &CreateRule) -> bool {
        matches!(output, CreateRule::Created(_))
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
    type Output = Option<StoredRule>;

    fn lock(&self, locks: &mut Locks) {
        locks.rights();
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Option<StoredRule>, StoreError> {
        let mut script = Script::default();
        let rule = Statement::new("SELECT created_at FROM acl_rules WHERE id = $1");
        let rule = script.add(rule.bind(self.id.as_str()));
        let results = tx.run(script).await?;
        let Some(rule) = results.rows(&rule).next() else {
            return Ok(None);
        };
        let created_at: i64 = rule.try_get("created_at")?;
        let content = &self.content;
        let (kind, subject) = subject_columns(&content.subject);
        let replace = Statement::new(
            "UPDATE acl_rules SET subject_kind = $1, subject = $2, actions = $3, effect = $4,
                filter = $5, description = $6
             WHERE id = $7",
        )
        .bind(kind)
        .bind(subject)
        .bind(actions_column(content.actions))
        .bind(effect_column(content.effect))
        .bind(content.filter.as_str())
        .bind(content.description.as_deref())
        .bind(self.id.as_str());
        tx.execute(replace).await?;
        record(tx, &[Changed::Policy], self.now).await?;
        let created_at = Timestamp::from_millis(created_at);
        Ok(Some(content.with_id(&self.id, created_at)))
    }

    fn changes(output: &Option<StoredRule>) -> bool {
        output.is_some()
    }
}

struct Delete {
    id: RuleId,
    now: Timestamp,
}

impl Operation for Delete {
    type Output = bool;

    fn lock(&self, locks: &mut Locks) {
        locks.rights();
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let delete = Statement::new("DELETE FROM acl_rules WHERE id = $1");
        if tx.execute(delete.bind(self.id.as_str())).await? == 0 {
            return Ok(false);
        }
        record(tx, &[Changed::Policy], self.now).await?;
        Ok(true)
    }

    fn changes(deleted: &bool) -> bool {
        *deleted
    }
}
