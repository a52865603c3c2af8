//! Keys and signing secrets in memory. Nothing is at rest here, so nothing is sealed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use loyalty_core::{ShopId, StoreId, Timestamp};

use super::Tables;
use crate::administration::{
    AdminChange, AdminReply, AdminRequest, StoreSecret, StoredAdminResponse,
};
use crate::error::Failure;
use crate::shop::{ApiKeyRecord, KeyOwner};
use crate::transact::administration::{AdminView, administer};

#[derive(Debug, Default)]
pub(super) struct AdminTables {
    keys: Vec<Arc<ApiKeyRecord>>,
    /// The oldest first.
    secrets: BTreeMap<ShopId, Vec<StoreSecret>>,
    responses: HashMap<(KeyOwner, [u8; 16]), StoredAdminResponse>,
}

impl AdminTables {
    pub(super) fn find_key(&self, id: &str) -> Option<&Arc<ApiKeyRecord>> {
        self.keys.iter().find(|key| key.id() == id)
    }

    pub(super) fn keys_of(&self, owner: KeyOwner) -> Vec<ApiKeyRecord> {
        let keys = self.keys.iter().filter(|key| key.owner == owner);
        keys.map(|key| (**key).clone()).collect()
    }

    pub(super) fn note_uses(&mut self, uses: &HashMap<String, Timestamp>) {
        for key in &mut self.keys {
            if let Some(at) = uses.get(key.id()) {
                let key = Arc::make_mut(key);
                key.last_used_at = key.last_used_at.max(Some(*at));
            }
        }
    }

    /// Returns the secrets of a shop's connected stores, the newest first.
    pub(super) fn secrets_of(&self, shop: ShopId) -> Arc<[StoreSecret]> {
        self.secrets.get(&shop).into_iter().flatten().rev().cloned().collect()
    }

    fn apply(&mut self, change: AdminChange) {
        match change {
            AdminChange::PutKey(record) => {
                match self.keys.iter_mut().find(|key| key.id() == record.id()) {
                    Some(key) => *key = Arc::new(record),
                    None => self.keys.push(Arc::new(record)),
                }
            }
            AdminChange::DeleteKey(id) => self.keys.retain(|key| key.id() != id),
            AdminChange::AddSecret(shop, secret) => {
                self.secrets.entry(shop).or_default().push(secret);
            }
            AdminChange::EndSecrets(shop, store, end) => {
                let secrets = self.secrets.entry(shop).or_default();
                for secret in secrets.iter_mut().filter(|secret| secret.store == store) {
                    secret.expires_at = Some(secret.expires_at.map_or(end, |at| at.min(end)));
                }
            }
            AdminChange::DropOlderSecrets(shop, store, now) => {
                let secrets = self.secrets.entry(shop).or_default();
                let newest = secrets.iter().rev().find(|secret| secret.store == store).cloned();
                let newest = newest.filter(|newest| newest.is_valid(now));
                secrets.retain(|secret| secret.store != store);
                secrets.extend(newest);
            }
            // In tables of their own.
            AdminChange::Destination(_) => {}
            AdminChange::PutResponse(stored) => {
                self.responses.insert((stored.owner, stored.key), stored);
            }
        }
    }
}

impl Tables {
    pub(super) fn administer(&mut self, request: AdminRequest) -> Result<AdminReply, Failure> {
        let (changes, reply) = administer(&*self, request)?;
        for change in changes {
            if let AdminChange::Destination(change) = change {
                self.destinations.administer(change);
            } else {
                self.administration.apply(change);
            }
        }
        Ok(reply)
    }
}

impl AdminView for Tables {
    fn keys(&self, owner: KeyOwner) -> Result<Vec<ApiKeyRecord>, Failure> {
        Ok(self.administration.keys_of(owner))
    }

    fn key(&self, id: &str) -> Result<Option<ApiKeyRecord>, Failure> {
        Ok(self.administration.find_key(id).map(|key| (**key).clone()))
    }

    fn has_shop(&self, shop: ShopId) -> Result<bool, Failure> {
        Ok(self.shops.contains_key(&shop))
    }

    fn secret_ends(
        &self,
        shop: ShopId,
        store: &StoreId,
    ) -> Result<Vec<Option<Timestamp>>, Failure> {
        let secrets = self.administration.secrets_of(shop);
        let of_store = secrets.iter().filter(|secret| secret.store == *store);
        Ok(of_store.map(|secret| secret.expires_at).collect())
    }

    fn stored_response(
        &self,
        owner: KeyOwner,
        key: &[u8; 16],
    ) -> Result<Option<StoredAdminResponse>, Failure> {
        Ok(self.administration.responses.get(&(owner, *key)).cloned())
    }
}
