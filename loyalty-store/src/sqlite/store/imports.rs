//! Imports, read from their tables.

use std::sync::Arc;

use loyalty_core::{ImportId, ShopId};

use super::SqliteStore;
use crate::error::Failure;
use crate::import::{ImportRecord, ImportRowRecord, Imports};
use crate::sqlite::tables::import;

impl Imports for SqliteStore {
    fn import(&self, shop: ShopId, id: &ImportId) -> Result<Option<Arc<ImportRecord>>, Failure> {
        self.read(|db| Ok(import::read_import(db, shop, id)?.map(Arc::new)))
    }

    fn imports(
        &self,
        shop: ShopId,
        after: Option<&ImportId>,
        limit: usize,
    ) -> Result<Vec<Arc<ImportRecord>>, Failure> {
        self.read(|db| import::read_imports(db, shop, after, limit))
    }

    fn import_rows(
        &self,
        shop: ShopId,
        id: &ImportId,
        after: u64,
        only_refused: bool,
        limit: usize,
    ) -> Result<Vec<Arc<ImportRowRecord>>, Failure> {
        self.read(|db| import::read_import_rows(db, shop, id, after, only_refused, limit))
    }
}
