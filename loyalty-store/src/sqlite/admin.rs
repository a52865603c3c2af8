//! The operator's access: shops, API keys and verification, on a file that another process may be
//! serving.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loyalty_core::{ProgramVersion, ShopId, Timestamp};
use rusqlite::Connection;

use super::tables::{program, query, shop};
use super::{file, schema, verification};
use crate::error::Failure;
use crate::query::VerificationReport;
use crate::shop::{Integration, NewApiKey, NewShop, Shop};
use crate::timeline::PublishedProgram;

/// The operator's access to a database file: it creates shops and API keys and verifies all states,
/// also while a server is running on the same file.
///
/// # Example: a shop is created before the server starts
/// ```
/// use loyalty_core::{Currency, Zone};
/// use loyalty_store::{NewShop, SqliteAdmin};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let admin = SqliteAdmin::open(&directory.path().join("loyalty.db"))?;
/// let shop = NewShop { name: "Tea".into(), currency: Currency::EUR, zone: Zone::UTC };
/// let shop = admin.create_shop(&shop, "2026-01-31T10:00:00Z".parse()?)?;
/// assert_eq!(admin.shops()?, [shop]);
/// assert!(admin.verify()?.differences.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SqliteAdmin {
    db: Mutex<Connection>,
}

impl SqliteAdmin {
    /// Opens the file, and creates it if it does not exist.
    ///
    /// # Errors
    /// The same as [`SqliteAdmin::open_existing`].
    pub fn open(path: &Path) -> Result<Self, Failure> {
        Ok(Self::new(schema::open_unmigrated(path, true)?))
    }

    pub(super) fn new(db: Connection) -> Self {
        Self { db: Mutex::new(db) }
    }

    /// Opens an existing file.
    ///
    /// # Errors
    /// Fails if there is no file, it was written by another version of this program, its log is
    /// another file's, or it cannot be read. It is never moved to another format.
    ///
    /// # Example: a wrong path creates no file
    /// ```
    /// use loyalty_store::{Failure, SqliteAdmin};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let file = directory.path().join("loyalty.db");
    /// let opened = SqliteAdmin::open_existing(&file);
    /// assert!(matches!(opened, Err(Failure::Unavailable(_))));
    /// assert!(!file.exists());
    /// # Ok(()) }
    /// ```
    pub fn open_existing(path: &Path) -> Result<Self, Failure> {
        ensure_exists(path)?;
        Ok(Self::new(schema::open_unmigrated(path, false)?))
    }

    /// Opens an existing file to list its shops and to verify it. Neither the file nor its log is
    /// changed, and nothing is made beside it that stays.
    ///
    /// # Errors
    /// Fails if there is no file, it was written by a newer version of this program, its log is
    /// another file's, or it cannot be read.
    ///
    /// # Example: a file is verified as it is
    /// ```
    /// use loyalty_store::SqliteAdmin;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// let file = directory.path().join("loyalty.db");
    /// drop(SqliteAdmin::open(&file)?);
    /// let before = std::fs::read(&file)?;
    ///
    /// assert!(SqliteAdmin::open_unchanged(&file)?.verify()?.differences.is_empty());
    /// assert_eq!(std::fs::read(&file)?, before);
    /// # Ok(()) }
    /// ```
    pub fn open_unchanged(path: &Path) -> Result<Self, Failure> {
        ensure_exists(path)?;
        Ok(Self::new(schema::open_unchanged(path)?))
    }

    /// Returns the file that says that a store with shops was at this path, if there is no
    /// database file now: its log or its lock.
    pub fn trace_of_store(path: &Path) -> Option<PathBuf> {
        file::trace_of_store(path)
    }

    pub(super) fn lock_db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a shop with the default program.
    pub fn create_shop(&self, shop: &NewShop, now: Timestamp) -> Result<Arc<Shop>, Failure> {
        let mut db = self.lock_db();
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let id = query::max_value(&transaction, "id", "shop")?.saturating_add(1);

        let NewShop { name, currency, zone } = shop.clone();
        let shop = Shop {
            id: ShopId(id),
            name,
            currency,
            zone,
            created_at: now,
            integration: None,
        };
        shop::insert_shop(&transaction, &shop)?;

        let first = PublishedProgram {
            version: ProgramVersion(1),
            program: Arc::default(),
            in_force_from: now,
        };
        program::insert_program(&transaction, shop.id, &first, false)?;
        transaction.commit()?;
        Ok(Arc::new(shop))
    }

    /// All shops, oldest first. An empty file has none.
    pub fn shops(&self) -> Result<Vec<Arc<Shop>>, Failure> {
        let db = self.lock_db();
        if !schema::has_tables(&db)? {
            return Ok(Vec::new());
        }
        Ok(shop::read_shops(&db)?.into_iter().map(Arc::new).collect())
    }

    /// Adds an API key to a shop and revokes all before it but the newest.
    pub fn add_key(&self, shop: ShopId, key: &NewApiKey, now: Timestamp) -> Result<(), Failure> {
        let mut db = self.lock_db();
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        shop::insert_api_key(&transaction, shop, key, now)?;
        Ok(transaction.commit()?)
    }

    /// Stores where a store plugin was installed.
    pub fn record_integration(
        &self,
        shop: ShopId,
        integration: &Integration,
    ) -> Result<(), Failure> {
        shop::update_integration(&self.lock_db(), shop, integration)
    }

    /// Folds the whole journal and compares every state with it. Costs the whole file, and memory
    /// for some thousands of accounts at a time.
    pub fn verify(&self) -> Result<VerificationReport, Failure> {
        verify(&self.lock_db())
    }
}

fn ensure_exists(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    Err(Failure::Unavailable(format!("there is no file {}", path.display())))
}

/// Verifies in one read transaction, concurrently with a writer.
pub(super) fn verify(db: &Connection) -> Result<VerificationReport, Failure> {
    schema::ensure_current_format(db)?;
    db.execute_batch("BEGIN")?;
    let verified = verification::verify(db);
    db.execute_batch("ROLLBACK")?;
    verified
}
