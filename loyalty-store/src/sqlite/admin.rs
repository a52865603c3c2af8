//! The operator's access: shops, API keys and verification, on a file that another process may be
//! serving.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use loyalty_core::{AccountId, ProgramVersion, ShopId, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::master_key::{self, MasterKeySource};
use super::tables::{access, destination, program, query, shop};
use super::{file, schema, verification};
use crate::administration::{AdminReply, AdminRequest, StoreSecret};
use crate::destination::{DeliveryNote, Destination};
use crate::error::Failure;
use crate::query::VerificationReport;
use crate::seal::{MasterKey, MasterKeyId, MasterKeys, SealError};
use crate::shop::{ApiKeyRecord, Integration, KeyOwner, NewShop, Shop};
use crate::timeline::PublishedProgram;
use crate::transact::administration::administer;
use crate::transact::destination::note;

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
    path: PathBuf,
    master_key: MasterKeySource,
    /// Loaded when something is sealed or opened for the first time.
    keys: OnceLock<MasterKeys>,
}

impl SqliteAdmin {
    /// Opens the file, and creates it if it does not exist.
    ///
    /// # Errors
    /// The same as [`SqliteAdmin::open_existing`].
    pub fn open(path: &Path) -> Result<Self, Failure> {
        Ok(Self::new(schema::open_unmigrated(path, true)?, path))
    }

    pub(super) fn new(db: Connection, path: &Path) -> Self {
        Self {
            db: Mutex::new(db),
            path: path.to_owned(),
            master_key: MasterKeySource::Beside,
            keys: OnceLock::new(),
        }
    }

    /// The same access with master keys from another place. By default they are beside the file.
    #[must_use]
    pub fn with_master_key(self, master_key: MasterKeySource) -> Self {
        Self { master_key, keys: OnceLock::new(), ..self }
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
        Ok(Self::new(schema::open_unmigrated(path, false)?, path))
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
        Ok(Self::new(schema::open_unchanged(path)?, path))
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
        let transaction = begin(&mut db)?;
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

    /// Returns the master keys.
    fn master_keys(&self, db: &Connection) -> Result<&MasterKeys, Failure> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let keys = self.master_key.load(&self.path, db)?;
        Ok(self.keys.get_or_init(|| keys))
    }

    /// Loads the master keys, and seals with the first what another one sealed, or none: secrets of
    /// a file from before there were master keys.
    ///
    /// # Errors
    /// [`Failure::MasterKey`] if a key is missing.
    pub(super) fn seal_all(&self) -> Result<(), Failure> {
        let mut db = self.lock_db();
        let keys = self.master_keys(&db)?;
        // Without a lock where there is nothing to do: the file may be busy.
        let mut sealed_by = access::read_master_key_ids(&db)?.into_iter();
        let is_sealed = sealed_by.all(|id| id == keys.first().id());
        if is_sealed && !access::has_older_secrets(&db)? {
            return Ok(());
        }
        let transaction = begin(&mut db)?;
        access::seal_older_secrets(&transaction, keys)?;
        access::seal_anew(&transaction, keys)?;
        Ok(transaction.commit()?)
    }

    /// Makes a new master key in the file of a source, and seals everything with it. Whenever this
    /// is cut off, the file has all keys that are needed. Returns the file and the key's id.
    ///
    /// # Errors
    /// Fails if the database is served, a key is missing, or the keys are in no file: then the new
    /// key is given in front of the old one, and the next start seals with it.
    pub fn rotate_master_key(
        path: &Path,
        source: &MasterKeySource,
    ) -> Result<(PathBuf, MasterKeyId), Failure> {
        ensure_exists(path)?;
        let _lock = file::FileLock::acquire(path)?;
        let file = source.file(path).ok_or_else(|| {
            let text = "the master key is in no file: start the server once with a new key and \
                        the old one behind it, separated by a comma";
            Failure::MasterKey(text.to_owned())
        })?;
        let admin = Self::open_existing(path)?.with_master_key(source.clone());
        let old = admin.master_keys(&admin.lock_db())?.clone();

        let failed = |error: SealError| Failure::MasterKey(error.to_string());
        let new = MasterKey::draw().map_err(failed)?;
        let all = std::iter::once(&new).chain(old.iter()).cloned().collect();
        master_key::replace(&file, &MasterKeys::new(all).map_err(failed)?)?;
        Self::open_existing(path)?
            .with_master_key(source.clone())
            .seal_all()?;
        master_key::replace(&file, &MasterKeys::new(vec![new.clone()]).map_err(failed)?)?;
        Ok((file, new.id()))
    }

    /// Executes one administrative transaction: see
    /// [`Store::administer`](crate::Store::administer). A server on the same file knows it within
    /// two seconds.
    pub fn administer(&self, request: AdminRequest) -> Result<AdminReply, Failure> {
        let mut db = self.lock_db();
        let keys = self.master_keys(&db)?;
        let transaction = begin(&mut db)?;
        let tables = access::AdminTables { db: &transaction, keys };
        let (changes, reply) = administer(&tables, request)?;
        changes.iter().try_for_each(|change| tables.write(change))?;
        transaction.commit()?;
        Ok(reply)
    }

    /// Returns the keys of an owner, oldest first, also those that have ended.
    pub fn api_keys(&self, owner: KeyOwner) -> Result<Vec<ApiKeyRecord>, Failure> {
        access::read_keys(&self.lock_db(), owner)
    }

    /// Returns an API key by its id.
    pub fn api_key(&self, id: &str) -> Result<Option<ApiKeyRecord>, Failure> {
        access::read_key(&self.lock_db(), id)
    }

    /// Returns the secrets of a shop's connected stores, the newest first.
    pub fn store_secrets(&self, shop: ShopId) -> Result<Vec<StoreSecret>, Failure> {
        let db = self.lock_db();
        access::read_secrets(&db, self.master_keys(&db)?, shop)
    }

    /// Returns the destinations of a shop, or of all, in the order of their creation.
    pub(super) fn destinations(&self, shop: Option<ShopId>) -> Result<Vec<Destination>, Failure> {
        let db = self.lock_db();
        destination::read_destinations(&db, self.master_keys(&db)?, shop)
    }

    /// Stores what the sender has done.
    pub(super) fn note_deliveries(&self, notes: &[DeliveryNote]) -> Result<(), Failure> {
        let mut db = self.lock_db();
        let keys = self.master_keys(&db)?;
        let transaction = begin(&mut db)?;
        let tables = access::AdminTables { db: &transaction, keys };
        for one in notes {
            for change in note(&tables, one)? {
                destination::write(&transaction, keys, &change)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Clears what receivers have answered about accounts.
    pub(super) fn clear_answers(
        &self,
        shop: ShopId,
        accounts: &[AccountId],
    ) -> Result<(), Failure> {
        let mut db = self.lock_db();
        let transaction = begin(&mut db)?;
        destination::clear_answers(&transaction, shop, accounts)?;
        Ok(transaction.commit()?)
    }

    pub(super) fn write_key_uses(&self, uses: &HashMap<String, Timestamp>) -> Result<(), Failure> {
        let mut db = self.lock_db();
        let transaction = begin(&mut db)?;
        let mut uses = uses.iter();
        uses.try_for_each(|(id, at)| access::update_last_use(&transaction, id, *at))?;
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

/// Begins a transaction that overwrites what it deletes: it may be a secret.
fn begin(db: &mut Connection) -> Result<Transaction<'_>, Failure> {
    db.pragma_update(None, "secure_delete", true)?;
    Ok(db.transaction_with_behavior(TransactionBehavior::Immediate)?)
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
