//! Shops, keys and the proof, on a file that another process may be serving.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loyalty_core::{ProgramVersion, ShopId, Timestamp};
use rusqlite::Connection;

use super::time::Restored;
use super::{account, claim, discount, rows, schema};
use crate::error::Failure;
use crate::verify::{JournalVerifier, StoredStates};
use crate::query::VerificationReport;
use crate::shop::{Integration, NewApiKey, NewShop, Shop};

/// The operator's side of a database file: it makes shops and keys and proves the books, also while a
/// server is running on the same file.
#[derive(Debug)]
pub struct Admin {
    db: Mutex<Connection>,
}

impl Admin {
    /// Opens the file, making it where there is none.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        Ok(Self { db: Mutex::new(schema::open(path)?) })
    }

    /// Opens a file that must be there.
    pub fn open_existing(path: &Path) -> Result<Self, Failure> {
        if !path.exists() {
            return Err(Failure::Unavailable(format!("there is no file {}", path.display())));
        }
        Ok(Self { db: Mutex::new(schema::open_existing(path)?) })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a shop with the default program.
    pub fn create_shop(&self, shop: &NewShop, now: Timestamp) -> Result<Arc<Shop>, Failure> {
        let mut db = self.db();
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let id = rows::last(&transaction, "id", "shop")?.saturating_add(1);
        let NewShop { name, currency, zone } = shop.clone();
        let shop = Shop {
            id: ShopId(id),
            name,
            currency,
            zone,
            created_at: now,
            integration: None,
        };
        rows::add_shop(&transaction, &shop)?;
        rows::add_program(
            &transaction,
            shop.id,
            ProgramVersion(1),
            &loyalty_core::Program::default(),
            now,
        )?;
        transaction.commit()?;
        Ok(Arc::new(shop))
    }

    /// All shops, oldest first.
    pub fn shops(&self) -> Result<Vec<Arc<Shop>>, Failure> {
        Ok(rows::shops(&self.db())?.into_iter().map(Arc::new).collect())
    }

    /// Adds a key to a shop. Of the keys before it only the newest stays alive.
    pub fn add_key(&self, shop: ShopId, key: &NewApiKey, now: Timestamp) -> Result<(), Failure> {
        let mut db = self.db();
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        rows::add_key(&transaction, shop, key, now)?;
        Ok(transaction.commit()?)
    }

    /// Notes where a store plugin was installed.
    pub fn install(&self, shop: ShopId, integration: &Integration) -> Result<(), Failure> {
        rows::put_integration(&self.db(), shop, integration)
    }

    /// Folds the whole journal and compares every state with it.
    pub fn verify(&self) -> Result<VerificationReport, Failure> {
        verify(&self.db())
    }
}

/// All of it in one read transaction: a writer may go on meanwhile.
pub(super) fn verify(db: &Connection) -> Result<VerificationReport, Failure> {
    db.execute_batch("BEGIN")?;
    let verified = fold_all(db);
    db.execute_batch("ROLLBACK")?;
    verified
}

fn fold_all(db: &Connection) -> Result<VerificationReport, Failure> {
    let mut standing = StoredStates { persisted_up_to: rows::checkpoint(db)?.0, ..StoredStates::default() };
    let (accounts, unreadable) = (&mut standing.accounts, &mut standing.unreadable);
    standing.orphan_segments = account::each_account(db, |id, record| match record {
        Ok(record) => {
            accounts.insert(id, record);
        }
        Err(what) => unreadable.push(what),
    })?;
    rows::each_order(db, |key, record| {
        standing.orders.insert(key, record);
    })?;
    discount::each_keyed(db, |key, record| {
        standing.projections.insert(key, record);
    })?;
    standing.index = discount::index(db)?;
    claim::each(db, |claim, account| {
        standing.claims.insert(claim, account);
    })?;
    let mut fold = JournalVerifier::new(standing);
    rows::each_journal(db, 0, |row| {
        fold.fold_row(&row);
        Ok(())
    })?;
    let mut restored = Restored::default();
    fold.finish(|id, record| {
        if restored.is_settled(db, record.shop)? {
            restored.find_due(db, id, record)
        } else {
            Ok(())
        }
    })
}
