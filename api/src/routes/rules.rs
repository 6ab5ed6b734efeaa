//! Access rules, for administrators.

use herald_store::{CreateRule, RuleId, Store, Timestamp};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{
    audit::AuditAction,
    error::{
        ApiError, Code, Failure,
        codes::{Invalid, NotFound, TooManyRules},
    },
    fields::{Id, Limit, NextPageToken, PageToken, example::example},
    middleware::caller::Administrator,
    rights::{Rights, RightsInForce},
    routes::{
        access_check::{Check, Checked},
        tags::Tag,
    },
    views::{
        page,
        rule::{NewRule, RuleView, summary, summary_of},
        user::{no_such_account, username},
    },
};

pub(crate) struct RulesApi {
    pub(crate) store: Store,
    pub(crate) rights: Rights,
}

/// A page of access rules.
#[derive(Object)]
#[oai(example)]
struct RuleList {
    /// By id.
    items: Vec<RuleView>,
    /// The `after` of the next page.
    next: Option<NextPageToken>,
}

example!(RuleList {
    items: vec![RuleView::example()],
    next: None
});

#[derive(ApiResponse)]
enum Created {
    /// The rule was made.
    #[oai(status = 201)]
    Created(
        Json<RuleView>,
        #[oai(header = "X-Rights-In-Force")] RightsInForce,
    ),
}

#[derive(ApiResponse)]
enum Replaced {
    /// The rule is as it was given.
    #[oai(status = 200)]
    Replaced(
        Json<RuleView>,
        #[oai(header = "X-Rights-In-Force")] RightsInForce,
    ),
}

#[derive(ApiResponse)]
enum Deleted {
    /// The rule is gone.
    #[oai(status = 204)]
    Deleted(#[oai(header = "X-Rights-In-Force")] RightsInForce),
}

#[OpenApi(prefix_path = "/admin/acl", tag = "Tag::Access")]
impl RulesApi {
    /// List access rules
    ///
    /// What no rule allows is denied; a rule that denies outweighs all that allow.
    #[oai(path = "/rules", method = "get", operation_id = "listRules")]
    async fn rules(
        &self,
        _admin: Administrator,
        /// Only rules behind this one.
        after: Query<Option<PageToken>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<RuleList>, ApiError> {
        let after = after.0.map(|PageToken(id)| RuleId::from_string(id));
        let rules = self.store.list_rules(after.as_ref(), limit.0.0).await?;
        let (rules, next) = page::items(rules, |stored| stored.rule.id.to_string());
        Ok(Json(RuleList {
            items: rules.into_iter().map(RuleView::from).collect(),
            next,
        }))
    }

    /// Make an access rule
    ///
    /// The answer comes when it is in force on every server, also for clients that are connected.
    #[oai(path = "/rules", method = "post", operation_id = "createRule")]
    async fn create(
        &self,
        admin: Administrator,
        new: Json<NewRule>,
    ) -> Result<Created, Failure<(TooManyRules, Invalid)>> {
        let content = new.content()?;
        let event = admin.0.event(AuditAction::RuleCreated);
        let event = event.detail(summary(&content));
        let store = self.store.audited(event.entry());
        match store.create_rule(content, Timestamp::now()).await? {
            CreateRule::Created(stored) => {
                tracing::info!(by = %admin.0.user.username, rule = stored.rule.id, "an access rule was made");
                let in_force = self.rights.in_force().await;
                Ok(Created::Created(Json(stored.into()), in_force))
            }
            CreateRule::TooMany => Err(ApiError::new(
                Code::TooManyRules,
                format!(
                    "There are {} access rules already.",
                    herald_store::MAX_RULES
                ),
            )
            .into()),
        }
    }

    /// See an access rule
    ///
    /// By its id.
    #[oai(path = "/rules/:id", method = "get", operation_id = "getRule")]
    async fn rule(
        &self,
        _admin: Administrator,
        id: Path<Id>,
    ) -> Result<Json<RuleView>, Failure<NotFound>> {
        let found = self.store.rule(&RuleId::from_string(id.0.0)).await?;
        Ok(Json(found.ok_or_else(unknown)?.into()))
    }

    /// Replace an access rule
    ///
    /// The built-in rules, too. The answer comes when the rule is in force on every server.
    #[oai(path = "/rules/:id", method = "put", operation_id = "replaceRule")]
    async fn replace(
        &self,
        admin: Administrator,
        id: Path<Id>,
        new: Json<NewRule>,
    ) -> Result<Replaced, Failure<(NotFound, Invalid)>> {
        let (id, content) = (RuleId::from_string(id.0.0), new.content()?);
        let event = admin.0.event(AuditAction::RuleReplaced).to(id.as_str());
        let event = event.detail(summary(&content));
        let store = self.store.audited(event.entry());
        let replaced = store.replace_rule(&id, content, Timestamp::now());
        let replaced = replaced.await?.ok_or_else(unknown)?;
        tracing::info!(by = %admin.0.user.username, rule = %id, "an access rule was replaced");
        let in_force = self.rights.in_force().await;
        Ok(Replaced::Replaced(Json(replaced.into()), in_force))
    }

    /// Delete an access rule
    ///
    /// The built-in rules, too. The answer comes when the rule is out of force on every server.
    #[oai(path = "/rules/:id", method = "delete", operation_id = "deleteRule")]
    async fn delete(
        &self,
        admin: Administrator,
        id: Path<Id>,
    ) -> Result<Deleted, Failure<NotFound>> {
        let id = RuleId::from_string(id.0.0);
        let event = admin.0.event(AuditAction::RuleDeleted).to(id.as_str());
        // Nobody can look up what it said afterwards. One that cannot be read can be deleted all the same.
        let event = match self.store.rule(&id).await {
            Ok(Some(rule)) => event.detail(summary_of(&rule)),
            Ok(None) | Err(_) => event,
        };
        let store = self.store.audited(event.entry());
        if !store.delete_rule(&id, Timestamp::now()).await? {
            return Err(unknown().into());
        }
        tracing::info!(by = %admin.0.user.username, rule = %id, "an access rule was deleted");
        Ok(Deleted::Deleted(self.rights.in_force().await))
    }

    /// Ask what a user may do
    ///
    /// It is decided as for the broker, by the rules of now. Some things no rule can allow: publishing below `users/` other
    /// than to one's own `messages`, publishing to topics that start with `$`, and, unless one is an administrator,
    /// reading what is another user's below `users/`. A locked account may do nothing. `reason` says which it is.
    #[oai(path = "/check", method = "post", operation_id = "checkAccess")]
    async fn check(
        &self,
        _admin: Administrator,
        check: Json<Check>,
    ) -> Result<Json<Checked>, Failure<(NotFound, Invalid)>> {
        let store = &self.store;
        let user = store.user_by_name(&username(check.username())?).await?;
        let user = user.ok_or_else(no_such_account)?;
        let rules = store.stored_rules().await?;
        let verdict = check.0.verdict(&user, &rules)?;
        Ok(Json(Checked::new(verdict, rules)))
    }
}

fn unknown() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such access rule.")
}
