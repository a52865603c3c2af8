//! Decisions about keys and signing secrets, shared by all stores.

use chrono::SubsecRound;
use loyalty_core::{ShopId, StoreId, Timestamp};

use crate::administration::{
    Actor, AdminAction, AdminChange, AdminDecision, AdminOutcome, AdminReply, AdminRequest,
    DEFAULT_GRACE, DecisionError, MAX_KEYS, StoreSecret, StoredAdminResponse, end_after,
};
use crate::error::{Failure, Rejection};
use crate::shop::{ApiKeyRecord, KeyOwner, NewApiKey, Scope};
use crate::transact::StoredResponse;
use crate::transact::destination::{self, DestinationView};

/// What an administrative decision reads, as it is stored.
pub(crate) trait AdminView: DestinationView {
    /// Returns all keys of an owner, oldest first, also those that have ended.
    fn keys(&self, owner: KeyOwner) -> Result<Vec<ApiKeyRecord>, Failure>;
    /// Returns a key by its id, whoever owns it.
    fn key(&self, id: &str) -> Result<Option<ApiKeyRecord>, Failure>;
    fn has_shop(&self, shop: ShopId) -> Result<bool, Failure>;
    /// Returns the ends of a store's secrets, the newest secret first.
    fn secret_ends(&self, shop: ShopId, store: &StoreId)
    -> Result<Vec<Option<Timestamp>>, Failure>;
    fn stored_response(
        &self,
        owner: KeyOwner,
        key: &[u8; 16],
    ) -> Result<Option<StoredAdminResponse>, Failure>;
}

/// Decides one request. Returns the changes to write, in their order, and the reply to give then.
pub(crate) fn administer(
    view: &impl AdminView,
    request: AdminRequest,
) -> Result<(Vec<AdminChange>, AdminReply), Failure> {
    let AdminRequest { owner, now, actor, idempotency, action } = request;
    // Stores keep microseconds.
    let now = now.trunc_subsecs(6);
    if let KeyOwner::Shop(shop) = owner
        && !view.has_shop(shop)?
    {
        return Err(Failure::Corrupt(format!("shop {shop} does not exist")));
    }

    let Some(idempotency) = idempotency else {
        let (changes, outcome) = split(decide(view, owner, now, &actor, action))?;
        return Ok((changes, AdminReply::Decided(outcome)));
    };
    let stored = view.stored_response(owner, &idempotency.key)?;
    if let Some(stored) = stored.filter(|stored| is_replayable(stored, now)) {
        let reply = if stored.fingerprint == idempotency.fingerprint {
            AdminReply::Stored { response: stored.response, replayed: true }
        } else {
            AdminReply::Decided(Err(Rejection::IdempotencyKeyReused))
        };
        return Ok((Vec::new(), reply));
    }

    let (mut changes, outcome) = split(decide(view, owner, now, &actor, action))?;
    let response = (idempotency.render)(&outcome);
    let (key, fingerprint) = (idempotency.key, idempotency.fingerprint);
    let stored =
        StoredAdminResponse { owner, key, fingerprint, at: now, response: response.clone() };
    changes.push(AdminChange::PutResponse(stored));
    Ok((changes, AdminReply::Stored { response, replayed: false }))
}

fn is_replayable(stored: &StoredAdminResponse, now: Timestamp) -> bool {
    now.signed_duration_since(stored.at).num_days() < StoredResponse::REPLAY_DAYS
}

type Outcome = Result<AdminOutcome, Rejection>;

fn split(decision: AdminDecision) -> Result<(Vec<AdminChange>, Outcome), Failure> {
    match decision {
        Ok((changes, outcome)) => Ok((changes, Ok(outcome))),
        Err(DecisionError::Rejected(rejection)) => Ok((Vec::new(), Err(rejection))),
        Err(DecisionError::Failed(failure)) => Err(failure),
    }
}

fn decide(
    view: &impl AdminView,
    owner: KeyOwner,
    now: Timestamp,
    actor: &Actor,
    action: AdminAction,
) -> AdminDecision {
    let scopes = held_scopes(view, now, actor)?;
    let keys = AdminKeys { keys: view.keys(owner)?, owner, now };
    match action {
        AdminAction::CreateKey(key) => keys.create(key, scopes.as_deref()),
        AdminAction::RevokeKey { id, allow_last } => keys.revoke(&id, allow_last),
        AdminAction::RotateKey { id, replacement, grace } => {
            let old = keys.find(&id)?.clone();
            ensure_held(scopes.as_deref(), &old.key.scopes)?;
            // Each key can be rotated while there are as many as allowed, but not for ever.
            keys.ensure_room(MAX_KEYS.saturating_mul(2))?;
            let end = end_after(now, grace);
            let end = old.key.expires_at.map_or(end, |before| before.min(end));

            let mut ended = old.clone();
            ended.key.expires_at = Some(end);
            let key = NewApiKey { hash: replacement, ..old.key };
            let created = ApiKeyRecord { owner, key, created_at: now, last_used_at: None };
            let changes = vec![AdminChange::PutKey(ended), AdminChange::PutKey(created.clone())];
            Ok((keys.without_ended(changes), AdminOutcome::Key(created)))
        }
        AdminAction::RotateStoreSecret { store, secret, grace, may_create } => {
            let KeyOwner::Shop(shop) = owner else {
                return Err(Rejection::StoreNotFound.into());
            };
            let ends = view.secret_ends(shop, &store)?;
            if ends.is_empty() && !may_create {
                return Err(Rejection::StoreNotFound.into());
            }

            let end = end_after(now, grace);
            let newest = ends
                .first()
                .map(|newest| newest.map_or(end, |before| before.min(end)));
            let created = StoreSecret {
                store: store.clone(),
                secret,
                created_at: now,
                expires_at: None,
            };
            let changes = vec![
                AdminChange::DropOlderSecrets(shop, store.clone(), now),
                AdminChange::EndSecrets(shop, store, end),
                AdminChange::AddSecret(shop, created),
            ];
            Ok((changes, AdminOutcome::StoreSecret { previous_ends_at: newest }))
        }
        AdminAction::Destination(action) => {
            let KeyOwner::Shop(shop) = owner else {
                return Err(Rejection::WebhookEndpointNotFound.into());
            };
            destination::decide(view, shop, now, action)
        }
    }
}

/// Returns the scopes that the actor can give; `None` for all. A key that was revoked a moment
/// ago, and is still known to a cache, can do nothing here.
fn held_scopes(
    view: &impl AdminView,
    now: Timestamp,
    actor: &Actor,
) -> Result<Option<Vec<Scope>>, DecisionError> {
    let Actor::Key(id) = actor else { return Ok(None) };
    let key = view.key(id)?.filter(|key| key.is_valid(now));
    Ok(Some(key.ok_or(Rejection::KeyRevoked)?.key.scopes))
}

fn ensure_held(held: Option<&[Scope]>, given: &[Scope]) -> Result<(), Rejection> {
    let Some(held) = held else { return Ok(()) };
    match given.iter().find(|scope| !held.contains(scope)) {
        Some(scope) => Err(Rejection::ScopeNotHeld { scope: *scope }),
        None => Ok(()),
    }
}

/// The keys of an owner.
struct AdminKeys {
    keys: Vec<ApiKeyRecord>,
    owner: KeyOwner,
    now: Timestamp,
}

impl AdminKeys {
    fn find(&self, id: &str) -> Result<&ApiKeyRecord, Rejection> {
        let mut valid = self.keys.iter().filter(|key| key.is_valid(self.now));
        valid.find(|key| key.key.hash.id == id).ok_or(Rejection::KeyNotFound)
    }

    fn ensure_room(&self, limit: usize) -> Result<(), Rejection> {
        let valid = self.keys.iter().filter(|key| key.is_valid(self.now)).count();
        if valid < limit { Ok(()) } else { Err(Rejection::TooManyKeys { limit }) }
    }

    fn create(self, key: NewApiKey, held: Option<&[Scope]>) -> AdminDecision {
        ensure_held(held, &key.scopes)?;
        let is_allowed = |scope: &Scope| match self.owner {
            KeyOwner::Shop(_) => *scope != Scope::Operator,
            KeyOwner::Operator => *scope == Scope::Operator,
        };
        if let Some(scope) = key.scopes.iter().find(|scope| !is_allowed(scope)) {
            return Err(Rejection::ScopeNotHeld { scope: *scope }.into());
        }
        self.ensure_room(MAX_KEYS)?;

        let (owner, created_at) = (self.owner, self.now);
        let created = ApiKeyRecord { owner, key, created_at, last_used_at: None };
        let changes = vec![AdminChange::PutKey(created.clone())];
        Ok((self.without_ended(changes), AdminOutcome::Key(created)))
    }

    fn revoke(self, id: &str, allow_last: bool) -> AdminDecision {
        let key = self.find(id)?;
        // One that ends within a day is no way back.
        let soon = end_after(self.now, DEFAULT_GRACE);
        let manages = |key: &ApiKeyRecord| {
            let scopes = &key.key.scopes;
            scopes.contains(&Scope::Admin) || scopes.contains(&Scope::Operator)
        };
        let mut others = self.keys.iter().filter(|other| other.key.hash.id != id);
        if manages(key)
            && !allow_last
            && !others.any(|other| manages(other) && other.is_valid(soon))
        {
            return Err(Rejection::LastAdminKey.into());
        }
        let changes = vec![AdminChange::DeleteKey(id.to_owned())];
        Ok((self.without_ended(changes), AdminOutcome::Revoked))
    }

    /// Adds the deletion of keys that have ended, so that their number is bounded.
    fn without_ended(&self, mut changes: Vec<AdminChange>) -> Vec<AdminChange> {
        let ended = self.keys.iter().filter(|key| !key.is_valid(self.now));
        changes.extend(ended.map(|key| AdminChange::DeleteKey(key.key.hash.id.clone())));
        changes
    }
}
