//! Imports in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use loyalty_core::{ImportId, ShopId};

use super::{MemoryStore, Tables};
use crate::error::Failure;
use crate::import::{ImportChange, ImportRecord, ImportRowRecord, ImportView, Imports};

#[derive(Debug, Default)]
pub(super) struct ImportTables {
    imports: BTreeMap<(ShopId, ImportId), Arc<ImportRecord>>,
    rows: BTreeMap<(ShopId, ImportId, u64), Arc<ImportRowRecord>>,
}

impl ImportTables {
    pub(super) fn apply(&mut self, shop: ShopId, change: ImportChange) {
        let ImportChange { record, row } = change;
        if let Some(row) = row {
            self.rows.insert((shop, record.id.clone(), row.line), row);
        }
        self.imports.insert((shop, record.id.clone()), record);
    }
}

impl ImportView for Tables {
    fn import(
        &mut self,
        shop: ShopId,
        id: &ImportId,
    ) -> Result<Option<Arc<ImportRecord>>, Failure> {
        Ok(self.imports.imports.get(&(shop, id.clone())).cloned())
    }
}

impl Imports for MemoryStore {
    fn import(&self, shop: ShopId, id: &ImportId) -> Result<Option<Arc<ImportRecord>>, Failure> {
        self.tables().import(shop, id)
    }

    fn imports(
        &self,
        shop: ShopId,
        after: Option<&ImportId>,
        limit: usize,
    ) -> Result<Vec<Arc<ImportRecord>>, Failure> {
        let tables = self.tables();
        let all = tables.imports.imports.iter();
        let of_shop =
            all.filter(|((of, id), _)| *of == shop && after.is_none_or(|after| id > after));
        Ok(of_shop.map(|(_, record)| Arc::clone(record)).take(limit).collect())
    }

    fn import_rows(
        &self,
        shop: ShopId,
        id: &ImportId,
        after: u64,
        only_refused: bool,
        limit: usize,
    ) -> Result<Vec<Arc<ImportRowRecord>>, Failure> {
        let tables = self.tables();
        let from = Bound::Excluded((shop, id.clone(), after));
        let to = Bound::Included((shop, id.clone(), u64::MAX));
        let rows = tables.imports.rows.range((from, to)).map(|(_, row)| row);
        let wanted = rows.filter(|row| !only_refused || row.outcome.fault().is_some());
        Ok(wanted.take(limit).cloned().collect())
    }
}
