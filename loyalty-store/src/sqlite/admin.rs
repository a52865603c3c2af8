//! Shops, keys and the proof, on a file that another process may be serving.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loyalty_core::{ProgramVersion, ShopId, Timestamp};
use rusqlite::Connection;

use super::due_index::Rescheduler;
use super::{account, code_claims, discounts, rows, schema};
use crate::error::Failure;
use crate::query::VerificationReport;
use crate::shop::{Integration, NewApiKey, NewShop, Shop};
use crate::verify::{JournalVerifier, StoredStates};

/// The operator's side of a database file: it makes shops and keys and proves the books, also while a
/// server is running on the same file.
#[derive(Debug)]
pub struct SqliteAdmin {
    db: Mutex<Connection>,
}

impl SqliteAdmin {
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

    fn lock_db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a shop with the default program.
    pub fn create_shop(&self, shop: &NewShop, now: Timestamp) -> Result<Arc<Shop>, Failure> {
        let mut db = self.lock_db();
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let id = rows::max_value(&transaction, "id", "shop")?.saturating_add(1);
        let NewShop { name, currency, zone } = shop.clone();
        let shop = Shop {
            id: ShopId(id),
            name,
            currency,
            zone,
            created_at: now,
            integration: None,
        };
        rows::insert_shop(&transaction, &shop)?;
        rows::insert_program(
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
        Ok(rows::read_shops(&self.lock_db())?.into_iter().map(Arc::new).collect())
    }

    /// Adds a key to a shop. Of the keys before it only the newest stays alive.
    pub fn add_key(&self, shop: ShopId, key: &NewApiKey, now: Timestamp) -> Result<(), Failure> {
        let mut db = self.lock_db();
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        rows::insert_api_key(&transaction, shop, key, now)?;
        Ok(transaction.commit()?)
    }

    /// Notes where a store plugin was installed.
    pub fn record_integration(
        &self,
        shop: ShopId,
        integration: &Integration,
    ) -> Result<(), Failure> {
        rows::update_integration(&self.lock_db(), shop, integration)
    }

    /// Folds the whole journal and compares every state with it.
    pub fn verify(&self) -> Result<VerificationReport, Failure> {
        verify(&self.lock_db())
    }
}

/// All of it in one read transaction: a writer may go on meanwhile.
pub(super) fn verify(db: &Connection) -> Result<VerificationReport, Failure> {
    db.execute_batch("BEGIN")?;
    let verified = verify_in_transaction(db);
    db.execute_batch("ROLLBACK")?;
    verified
}

fn verify_in_transaction(db: &Connection) -> Result<VerificationReport, Failure> {
    let mut standing = StoredStates {
        persisted_up_to: rows::read_checkpoint(db)?.0,
        ..StoredStates::default()
    };
    let (accounts, unreadable) = (&mut standing.accounts, &mut standing.unreadable);
    standing.orphan_segments = account::for_each_account(db, |id, record| match record {
        Ok(record) => {
            accounts.insert(id, record);
        }
        Err(what) => unreadable.push(what),
    })?;
    rows::for_each_order(db, |key, record| {
        standing.orders.insert(key, record);
    })?;
    discounts::for_each_projection(db, |key, record| {
        standing.projections.insert(key, record);
    })?;
    standing.index = discounts::read_index(db)?;
    code_claims::for_each_code_claim(db, |claim, account| {
        standing.claims.insert(claim, account);
    })?;
    let mut fold = JournalVerifier::new(standing);
    rows::for_each_journal_row(db, 0, |row| {
        fold.fold_row(&row);
        Ok(())
    })?;
    let mut restored = Rescheduler::default();
    fold.finish(|id, record| {
        if restored.is_due_current(db, record.shop)? {
            restored.reschedule(db, id, record)
        } else {
            Ok(())
        }
    })
}
